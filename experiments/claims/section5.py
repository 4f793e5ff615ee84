"""Section 5: learning rates and layer sizes."""

from experiments.claims.explanations import CURVES_CROSS_WITH_WIDTH
from experiments.claims.final_errors import comparison
from experiments.claims.verdict import Claim

_RATES = {
    "hessian": ("Hessian rates", "the diagonal of the Hessian"),
    "variance": ("variance rates", "an estimate of the gradients' variance"),
}
_RATES_FAIL = (
    "The paper names neither the damping of these rates nor how often they are estimated, and the "
    "global rate that multiplies them is chosen from a grid of our own. "
)


def _rates(key: str) -> tuple[Claim, ...]:
    suffix, source = _RATES[key]
    where = "Section 5, on second-order methods"
    why = _RATES_FAIL + CURVES_CROSS_WITH_WIDTH
    return (
        comparison(
            f"section5-{key}-helps",
            "section5",
            where,
            "Tanh",
            f"Tanh, {suffix}",
            paper=f"With standard initialisation, learning rates for each parameter from {source} "
            "help tanh.",
            why=why,
        ),
        comparison(
            f"section5-{key}-does-not-reach-normalized",
            "section5",
            where,
            f"Tanh, {suffix}",
            "Tanh N",
            paper=f"But rates from {source} don't reach what normalised initialisation does.",
            why=why,
        ),
        comparison(
            f"section5-{key}-with-normalized",
            "section5",
            where,
            "Tanh N",
            f"Tanh N, {suffix}",
            paper=f"Rates from {source} together with normalised initialisation help further.",
            why=why,
        ),
    )


def _widths(shape: str, words: str) -> Claim:
    return comparison(
        f"section5-{shape}",
        "section5",
        "Section 5, on layer sizes",
        f"Tanh, {shape}",
        f"Tanh N, {shape}",
        paper=f"Normalised initialisation gains as much where layers {words} with depth.",
        why="By how much the layers grow or shrink is our choice; the paper doesn't say. "
        + CURVES_CROSS_WITH_WIDTH,
    )


CLAIMS = (
    *(claim for key in _RATES for claim in _rates(key)),
    _widths("growing", "grow"),
    _widths("shrinking", "shrink"),
)
