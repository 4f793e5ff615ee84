"""Section 4.3 and Fig. 8: weight gradients at initialisation."""

from experiments.claims.initial import level_claim
from experiments.claims.verdict import Claim


def _level(scheme: str, *, though: str = "") -> Claim:
    return level_claim(
        f"fig08-{scheme}-level",
        "Section 4.3 and Fig. 8, caption",
        "weight_gradient",
        scheme,
        f"With {scheme} initialisation the weight gradients are about as large in all "
        f"layers{though}.",
        "These are gradients of the cost averaged over the probe's examples, so they also "
        "depend on how far the examples' gradients agree, which eq. 14 leaves out and which "
        "may differ between layers. The same for one example at a time (eq. 14's own entry) "
        "decides.",
    )


CLAIMS = (
    _level("standard", though=", though the back-propagated ones get smaller"),
    _level("normalized"),
)
