"""Section 4.3 and Fig. 7: back-propagated gradients at initialisation."""

import numpy as np
import xarray as xr

from experiments.claims.explanations import NOT_LINEAR
from experiments.claims.initial import GRADIENT_PEAK, INITIAL, level_claim, peak_at_zero
from experiments.claims.reductions import by_layer
from experiments.claims.verdict import Claim, Verdict, decide, on
from experiments.results.queries import condition

PEAK_FALLS = Claim(
    id="fig07-peak-falls",
    where="Fig. 7, caption",
    paper="With standard initialisation the peak at 0 of the back-propagated gradients falls "
    "for higher layers.",
    sentence="Tanh, standard initialisation: the fraction of gradients within "
    f"{GRADIENT_PEAK} of the top layer's standard deviation is smaller in each layer "
    "than in the one below.",
    figure="fig07",
    test=on(INITIAL, peak_at_zero, quantity="backprop", grows=False),
    if_it_fails="Gradients of one example share a scale, so their law is no normal one and its "
    "peak may not follow its width; the standard deviations by layer would decide.",
)


def shrinks_downwards(group: xr.Dataset, /) -> Verdict:
    """Std of dC/ds: each layer over the one above it; the least clear step decides."""
    std = by_layer(condition(group, "tanh", "standard"), "backprop_std")
    return decide(
        np.max(std[:, :-1] / std[:, 1:], axis=1),
        what="largest ratio of the std of dC/ds to that of the layer above",
        below=1.0,
        numbers={"std by layer": std.mean(axis=0).tolist()},
    )


GRADIENTS_SHRINK = Claim(
    id="fig07-gradients-shrink",
    where="Section 4.3 and Fig. 7, top",
    paper="After standard initialisation the back-propagated gradients get smaller as they are "
    "propagated downwards.",
    sentence="Tanh, standard initialisation: their standard deviation is smaller in each layer "
    "than in the one above.",
    figure="fig07",
    test=on(INITIAL, shrinks_downwards),
    if_it_fails="n Var[W] = 1/3 should make it fall to 0.58 per layer; if it doesn't, the "
    "measured Var[W] and slopes of the layer that rises would tell why.",
)

NORMALIZED_LEVEL = level_claim(
    "fig07-normalized-level",
    "Section 4.3 and Fig. 7, bottom",
    "backprop",
    "normalized",
    "With normalised initialisation the back-propagated gradients don't decrease.",
    NOT_LINEAR,
)

CLAIMS = (PEAK_FALLS, GRADIENTS_SHRINK, NORMALIZED_LEVEL)
