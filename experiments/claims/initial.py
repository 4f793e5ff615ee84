"""Predicates on networks at initialisation that Figs. 6, 7 and 8 share."""

import numpy as np
import xarray as xr

from experiments.claims.paper import LEVEL, STANDARD_FACTOR
from experiments.claims.reductions import by_layer, central_fraction, per_layer_factor
from experiments.claims.verdict import Claim, Verdict, decide, on
from experiments.results.queries import NotMeasured, condition, values

INITIAL = "initial"
FIGURES = {"activation": "fig06", "backprop": "fig07", "weight_gradient": "fig08"}

# A prediction off by less than sqrt(3) is nearer to its own layer than to the next one, since
# neighbours differ by a factor of 3 in variance.
HALF_A_LAYER = STANDARD_FACTOR**0.5

# The peak at 0: narrower than the standard deviation of the bottom layer (about 0.3), at least one
# bin of any histogram here. The gradients' histograms reach to 5 units.
ACTIVATION_PEAK = 0.05
GRADIENT_PEAK = 0.25
GRADIENT_REACH = 5.0

SCHEMES = ("standard", "normalized")

SIGNALS = {"backprop": "dC/ds", "weight_gradient": "dC/dw", "activation": "z"}


def peak_at_zero(group: xr.Dataset, /, *, quantity: str, grows: bool) -> Verdict:
    """The fraction near 0 from each layer to the next one up; the least clear step decides."""
    net = condition(group, "tanh", "standard")
    histogram = values(net, f"{quantity}_histogram", "seed", "layer", "bin")
    narrow = quantity == "activation"
    reach, end = (ACTIVATION_PEAK, 1.0) if narrow else (GRADIENT_PEAK, GRADIENT_REACH)
    peak = central_fraction(histogram, -end, end, reach)
    steps = np.diff(peak, axis=1) * (1 if grows else -1)
    unit = "" if narrow else " top-layer standard deviations"
    return decide(
        steps.min(axis=1),
        what=f"least {'rise' if grows else 'fall'} per layer of the fraction within {reach}{unit}",
        above=0.0,
        numbers={"fraction by layer": peak.mean(axis=0).tolist()},
    )


def level(group: xr.Dataset, /, *, quantity: str, scheme: str) -> Verdict:
    """The mean factor of a standard deviation from one layer to the next one up."""
    std = by_layer(condition(group, "tanh", scheme), f"{quantity}_std")
    other = "normalized" if scheme == "standard" else "standard"
    numbers = {"std by layer": std.mean(axis=0).tolist()}
    try:
        compared = by_layer(condition(group, "tanh", other), f"{quantity}_std")
        numbers[f"factor per layer, {other}"] = per_layer_factor(compared)
    except NotMeasured:
        pass
    if quantity == "weight_gradient":
        return decide(
            spread_per_layer(std),
            what="largest over smallest layer of the std of dC/dw, per layer",
            below=LEVEL,
            numbers=numbers,
        )
    return decide(
        per_layer_factor(std),
        what=f"factor of the std of {SIGNALS[quantity]} per layer upwards",
        above=1 / LEVEL,
        below=LEVEL,
        numbers=numbers,
    )


def level_claim(id: str, where: str, quantity: str, scheme: str, paper: str, why: str) -> Claim:
    """The claim that a standard deviation is ``level`` under ``scheme``."""
    return Claim(
        id=id,
        where=where,
        paper=paper,
        sentence=f"Tanh, {scheme} initialisation: from layer to layer the standard deviation "
        f"changes by less than a factor {LEVEL:.2f}, half (in logarithm) of the "
        f"{HALF_A_LAYER:.2f} that eq. 15 makes of it.",
        figure=FIGURES[quantity],
        test=on(INITIAL, level, quantity=quantity, scheme=scheme),
        if_it_fails=why,
    )


def spread_per_layer(std: np.ndarray) -> np.ndarray:
    """Largest over smallest layer, as a factor for each step between layers, [seed]."""
    return (std.max(axis=1) / std.min(axis=1)) ** (1 / (std.shape[1] - 1))
