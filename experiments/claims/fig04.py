"""Section 3.3 and Fig. 4: activations at the end of training."""

import numpy as np
import xarray as xr

from experiments.claims.explanations import LENGTH
from experiments.claims.fig03 import tanh_saturation
from experiments.claims.reductions import course, density
from experiments.claims.verdict import Claim, Verdict, decide, on
from experiments.data.registry import SHAPESET
from experiments.results.queries import condition, values

# Zones of abs(z) for Fig. 4. The knee is the paper's; the others are as wide, at 0, at the
# asymptote and between.
ZERO = (0.0, 0.1)
BETWEEN = (0.2, 0.4)
KNEE = (0.6, 0.8)
EXTREME = (0.9, 1.0)
EMPTY = 1e-9  # stands for an empty bin in a logarithm; below one value in any histogram here


def tanh_modes(group: xr.Dataset, /) -> Verdict:
    """Log density at the extremes and at 0 over that at the knee; the weaker one decides."""
    tanh_saturation(group)
    log = _log_densities(condition(group, "tanh", "standard"))
    return decide(
        np.minimum(log["extreme"], log["zero"]) - log["knee"],
        what="log of the density at the extremes or at 0, the lower one, over that at 0.6 to 0.8",
        above=0.0,
        numbers={f"log density, {zone}": value for zone, value in log.items()},
    )


TANH_MODES = Claim(
    id="fig04-tanh-modes",
    where="Section 3.3 and Fig. 4, top",
    paper="At the end tanh activations have their modes mostly at -1 and 1 or around 0.",
    sentence="Tanh, standard, all layers: abs(z) is denser both above 0.9 and below 0.1 than "
    "in 0.6 to 0.8.",
    figure="fig04",
    test=on(SHAPESET, tanh_modes),
    if_it_fails=LENGTH,
)


def lower_layers_saturated(group: xr.Dataset, /) -> Verdict:
    """Tanh, at the end: saturated fraction of the lower half of the layers less the upper half."""
    net = condition(group, "tanh", "standard")
    saturated = course(net, "activation_saturated")[:, -1]
    half = saturated.shape[1] // 2
    return decide(
        saturated[:, :half].mean(axis=1) - saturated[:, -half:].mean(axis=1),
        what="saturated fraction at the end, lower less upper layers",
        above=0.0,
        numbers={"saturated by layer": saturated.mean(axis=0).tolist()},
    )


LOWER_LAYERS_SATURATED = Claim(
    id="fig04-lower-layers-saturated",
    where="Fig. 4, caption",
    paper="Tanh's lower layers are much saturated at the end.",
    sentence="Tanh, standard: a larger fraction is saturated (slope below 5%) in the lower "
    "half of the layers than in the upper half.",
    figure="fig04",
    test=on(SHAPESET, lower_layers_saturated),
    if_it_fails=LENGTH,
)


def softsign_modes(group: xr.Dataset, /) -> Verdict:
    """Log density at the knee over that on either side of it; the weaker one decides."""
    tanh_saturation(group)
    log = _log_densities(condition(group, "softsign", "standard"))
    return decide(
        log["knee"] - np.maximum(log["extreme"], log["between"]),
        what="log of the density at 0.6 to 0.8 over the higher one of 0.2 to 0.4 and 0.9 to 1",
        above=0.0,
        numbers={f"log density, {zone}": value for zone, value in log.items()},
    )


SOFTSIGN_MODES = Claim(
    id="fig04-softsign-modes",
    where="Section 3.3 and Fig. 4, caption",
    paper="At the end softsign activations have modes around 0.6 to 0.8 in absolute value.",
    sentence="Softsign, standard, all layers: abs(z) is denser in 0.6 to 0.8 than on either "
    "side, in 0.2 to 0.4 and above 0.9.",
    figure="fig04",
    test=on(SHAPESET, softsign_modes),
    if_it_fails=LENGTH,
)


def _log_densities(net: xr.Dataset) -> dict[str, np.ndarray]:
    """Log of the mean density in each zone at the end, over all layers, [seed]."""
    dims = ("seed", "update", "layer", "bin")
    last = values(net, "activation_histogram", *dims)[:, -1].mean(axis=1)
    zones = {"zero": ZERO, "between": BETWEEN, "knee": KNEE, "extreme": EXTREME}
    return {name: np.log(density(last, *zone) + EMPTY) for name, zone in zones.items()}


CLAIMS = (TANH_MODES, LOWER_LAYERS_SATURATED, SOFTSIGN_MODES)
