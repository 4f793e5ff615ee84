"""Section 4.3 and Fig. 9: gradients of tanh networks during training."""

import numpy as np
import xarray as xr

from experiments.claims.explanations import LENGTH
from experiments.claims.paper import LEVEL
from experiments.claims.reductions import course, later_half, updates
from experiments.claims.verdict import Claim, Verdict, decide, on
from experiments.data.registry import SHAPESET
from experiments.results.queries import condition


def weight_gradients_diverge(group: xr.Dataset, /) -> Verdict:
    """Log of largest over smallest layer in the second half of the run, less that at the start."""
    spread, done = _log_spread(group, "standard")
    later = later_half(spread, done)
    return decide(
        later - spread[:, 0],
        what="rise of the log of largest over smallest layer's std of dC/dw",
        above=0.0,
        numbers={"at the start": spread[:, 0], "second half": later},
    )


WEIGHT_GRADIENTS_DIVERGE = Claim(
    id="fig09-weight-gradients-diverge",
    where="Section 4.3 and Fig. 9, top",
    paper="With standard initialisation tanh's weight gradients, alike at first, diverge from "
    "each other as training goes on.",
    sentence="Tanh, standard: the ratio of the largest to the smallest layer is larger in the "
    "second half of the run than at the start.",
    figure="fig09",
    test=on(SHAPESET, weight_gradients_diverge),
    if_it_fails=LENGTH,
)


def lower_layers_get_larger_gradients(group: xr.Dataset, /) -> Verdict:
    """Log std of dC/dw, layer 1 less the top layer, in the second half of the run."""
    net = condition(group, "tanh", "standard")
    log = _log(net, "weight_gradient_std")
    lead = later_half(log[..., 0] - log[..., -1], updates(net))
    return decide(
        lead,
        what="log of the std of dC/dw, layer 1 over the top layer",
        above=0.0,
        numbers={"at the start": log[:, 0, 0] - log[:, 0, -1]},
    )


LOWER_LAYERS_LARGER = Claim(
    id="fig09-lower-layers-larger",
    where="Fig. 9, caption, and section 4.3",
    paper="With standard initialisation the weight gradients become larger in the lower layers "
    "and smaller in the higher ones.",
    sentence="Tanh, standard: in the second half of the run the first layer's weight gradients "
    "are larger than the top layer's.",
    figure="fig09",
    test=on(SHAPESET, lower_layers_get_larger_gradients),
    if_it_fails=LENGTH,
)


def normalized_stays_together(group: xr.Dataset, /) -> Verdict:
    """Largest over smallest layer per step between layers, in the second half of the run."""
    spread, done = _log_spread(group, "normalized")
    steps = condition(group, "tanh", "normalized").sizes["layer"] - 1
    return decide(
        np.exp(later_half(spread, done) / steps),
        what="largest over smallest layer of the std of dC/dw, per layer, second half of the run",
        below=LEVEL,
        numbers={"at the start": np.exp(spread[:, 0] / steps)},
    )


NORMALIZED_TOGETHER = Claim(
    id="fig09-normalized-together",
    where="Fig. 9, caption",
    paper="Normalised initialisation keeps the variance of the weight gradients the same "
    "across layers during training.",
    sentence="Tanh, normalised: in the second half of the run the largest layer exceeds the "
    f"smallest by less than a factor {LEVEL:.2f} per layer, half (in logarithm) of the factor "
    "1.73 that eq. 15 makes of a standard deviation.",
    figure="fig09",
    test=on(SHAPESET, normalized_stays_together),
    if_it_fails="The paper also says that the gradients diverge 'especially' with standard "
    "initialisation, so some spread is its own finding; how the two compare is the next entry.",
)


def normalized_diverges_less(group: xr.Dataset, /) -> Verdict:
    """Log of largest over smallest layer in the second half, standard less normalized."""
    standard, normalized = (
        later_half(*_log_spread(group, name)) for name in ("standard", "normalized")
    )
    return decide(
        standard - normalized,
        what="log of largest over smallest layer's std of dC/dw, standard less normalized",
        above=0.0,
        numbers={"standard": standard, "normalized": normalized},
    )


NORMALIZED_DIVERGES_LESS = Claim(
    id="fig09-normalized-diverges-less",
    where="Section 4.3 and Fig. 9",
    paper="The weight gradients diverge especially with the standard initialisation.",
    sentence="Tanh: in the second half of the run the ratio of the largest to the smallest "
    "layer is larger with standard than with normalised initialisation.",
    figure="fig09",
    test=on(SHAPESET, normalized_diverges_less),
    if_it_fails=LENGTH,
)


def backprop_trend_reverses(group: xr.Dataset, /) -> Verdict:
    """Log std of dC/ds, layer 1 less the top layer, in the second half of the run."""
    net = condition(group, "tanh", "standard")
    log, done = _log(net, "backprop_std"), updates(net)
    lead = log[..., 0] - log[..., -1]
    reversed_at = done[np.argmax(lead.mean(axis=0) > 0)] if (lead.mean(axis=0) > 0).any() else None
    return decide(
        later_half(lead, done),
        what="log of the std of dC/ds, layer 1 over the top layer",
        above=0.0,
        numbers={"at the start": lead[:, 0], "first update at which it is reversed": reversed_at},
    )


BACKPROP_TREND_REVERSES = Claim(
    id="backprop-trend-reverses",
    where="Section 4.3",
    paper="That back-propagated gradients shrink downwards is reversed very quickly during "
    "learning (standard initialisation).",
    sentence="Tanh, standard: in the second half of the run the first layer's back-propagated "
    "gradients are larger than the top layer's; the update from which is among the numbers.",
    figure="fig09",
    test=on(SHAPESET, backprop_trend_reverses),
    if_it_fails=LENGTH,
)


def _log(net: xr.Dataset, name: str) -> np.ndarray:
    """[seed, update, layer]; what is 0, in a net that was blown up, as the smallest float32."""
    return np.log(np.maximum(course(net, name), np.finfo(np.float32).tiny))


def _log_spread(group: xr.Dataset, scheme: str) -> tuple[np.ndarray, np.ndarray]:
    """Log of largest over smallest layer of the std of dC/dw, [seed, update]; the updates."""
    net = condition(group, "tanh", scheme)
    log = _log(net, "weight_gradient_std")
    return np.ptp(log, axis=2), updates(net)


CLAIMS = (
    WEIGHT_GRADIENTS_DIVERGE,
    LOWER_LAYERS_LARGER,
    NORMALIZED_TOGETHER,
    NORMALIZED_DIVERGES_LESS,
    BACKPROP_TREND_REVERSES,
)
