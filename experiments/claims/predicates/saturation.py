"""Symmetric units during training: Figs. 3, 4 and 10."""

import math

import numpy as np
import xarray as xr

from experiments.claims.measured import (
    UPDATES_PER_EPOCH,
    condition,
    course,
    density,
    over_time,
    percentile_98,
    updates,
    values,
)
from experiments.claims.verdict import NotTested, Verdict, decide
from glorot_jax.activations import SATURATED_SLOPE

# tanh' = 1 - tanh^2, so this is where the slope is the one that the probe calls saturated.
SATURATED_TANH = math.sqrt(1 - SATURATED_SLOPE)
# Zones of abs(z) for Fig. 4. The knee is the paper's; the others are as wide, at 0, at the
# asymptote and between.
ZERO = (0.0, 0.1)
BETWEEN = (0.2, 0.4)
KNEE = (0.6, 0.8)
EXTREME = (0.9, 1.0)
EMPTY = 1e-9  # stands for an empty bin in a logarithm; below one value in any histogram here


def saturates_in_order(part: xr.Dataset, /) -> Verdict:
    """Kendall's tau between a layer's place and when its 98th percentile saturates."""
    when, done = _tanh_saturation(part)
    later = np.sign(when[:, None, :] - when[:, :, None])
    lower, upper = np.triu_indices(when.shape[1], k=1)
    return decide(
        later[:, lower, upper].mean(axis=1),
        what="rank correlation of layer and time of saturation",
        above=0.0,
        numbers={"epoch of saturation by layer": _epochs(when, done)},
    )


def first_layer_leads(part: xr.Dataset, /) -> Verdict:
    """Epochs from the saturation of layer 1 to that of the next layer to follow."""
    when, done = _tanh_saturation(part)
    when = np.minimum(when, done[-1])  # not yet: at the end at the earliest
    return decide(
        (when[:, 1:].min(axis=1) - when[:, 0]) / UPDATES_PER_EPOCH,
        what="lead of layer 1 in epochs",
        above=0.0,
        numbers={"epoch of saturation by layer": _epochs(when, done)},
    )


def softsign_saturates_less(part: xr.Dataset, /) -> Verdict:
    """Last 98th percentile, mean over layers: tanh less softsign."""
    _tanh_saturation(part)
    tanh, softsign = (
        percentile_98(condition(part, name, "standard"))[:, -1].mean(axis=1)
        for name in ("tanh", "softsign")
    )
    return decide(
        tanh - softsign,
        what="98th percentile at the end, tanh less softsign",
        above=0.0,
        numbers={"tanh": tanh, "softsign": softsign},
    )


def moves_together(part: xr.Dataset, /, *, activation: str, initializer: str) -> Verdict:
    """Range over layers of the 98th percentile, mean over the run: tanh standard less this."""
    _tanh_saturation(part)
    standard = _range_over_layers(condition(part, "tanh", "standard"))
    other = _range_over_layers(condition(part, activation, initializer))
    return decide(
        standard - other,
        what=f"range over layers of the 98th percentile, tanh less {activation} {initializer}",
        above=0.0,
        numbers={"tanh standard": standard, f"{activation} {initializer}": other},
    )


def fast_then_slow(part: xr.Dataset, /) -> Verdict:
    """Softsign: mean over the run of the part of the rise that is done; a steady one gives 1/2."""
    found = condition(part, "softsign", "standard")
    high = percentile_98(found).mean(axis=2)
    rise = high[:, -1] - high[:, 0]
    if np.any(rise <= 0):
        raise NotTested("the 98th percentile did not rise in this run", {"rise": rise})
    done = (high - high[:, :1]) / rise[:, None]
    return decide(
        over_time(done, updates(found)),
        what="mean over the run of the part of the rise that is done",
        above=0.5,
        numbers={"rise": rise},
    )


def tanh_normalized_like_softsign(part: xr.Dataset, /) -> Verdict:
    """Distance of tanh N's course from tanh's, less that from softsign's."""
    normalized = condition(part, "tanh", "normalized")
    course_of, done = percentile_98(normalized), updates(normalized)

    def distance(activation: str) -> np.ndarray:
        other = percentile_98(condition(part, activation, "standard"))
        if other.shape != course_of.shape:
            raise NotTested(f"tanh and {activation} nets have different numbers of layers")
        return over_time(np.abs(course_of - other).mean(axis=2), done)

    from_tanh, from_softsign = distance("tanh"), distance("softsign")
    return decide(
        from_tanh - from_softsign,
        what="distance of the 98th percentiles, to tanh less to softsign",
        above=0.0,
        numbers={"to tanh": from_tanh, "to softsign": from_softsign},
    )


def tanh_modes(part: xr.Dataset, /) -> Verdict:
    """Log density at the extremes and at 0 over that at the knee; the weaker one decides."""
    _tanh_saturation(part)
    log = _log_densities(condition(part, "tanh", "standard"))
    return decide(
        np.minimum(log["extreme"], log["zero"]) - log["knee"],
        what="log of the density at the extremes or at 0, the lower one, over that at 0.6 to 0.8",
        above=0.0,
        numbers={f"log density, {zone}": value for zone, value in log.items()},
    )


def softsign_modes(part: xr.Dataset, /) -> Verdict:
    """Log density at the knee over that on either side of it; the weaker one decides."""
    _tanh_saturation(part)
    log = _log_densities(condition(part, "softsign", "standard"))
    return decide(
        log["knee"] - np.maximum(log["extreme"], log["between"]),
        what="log of the density at 0.6 to 0.8 over the higher one of 0.2 to 0.4 and 0.9 to 1",
        above=0.0,
        numbers={f"log density, {zone}": value for zone, value in log.items()},
    )


def lower_layers_saturated(part: xr.Dataset, /) -> Verdict:
    """Tanh, at the end: saturated fraction of the lower half of the layers less the upper half."""
    found = condition(part, "tanh", "standard")
    saturated = course(found, "activation_saturated")[:, -1]
    half = saturated.shape[1] // 2
    return decide(
        saturated[:, :half].mean(axis=1) - saturated[:, -half:].mean(axis=1),
        what="saturated fraction at the end, lower less upper layers",
        above=0.0,
        numbers={"saturated by layer": saturated.mean(axis=0).tolist()},
    )


def _tanh_saturation(part: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """When each layer of tanh standard saturates [seed, layer], and the updates measured.

    A layer that never does counts as after the end. Every seed must have one that does: without
    saturation the run is too short for what the paper says of it.
    """
    found = condition(part, "tanh", "standard")
    done = updates(found)
    high = percentile_98(found)
    saturated = high >= SATURATED_TANH
    reached = saturated.any(axis=1)
    without = int(np.sum(~saturated.any(axis=(1, 2))))
    if without:
        raise NotTested(
            f"no layer of {without} of {len(high)} seeds of tanh standard saturates (98th "
            f"percentile {SATURATED_TANH:.3f}) in {done[-1]:.0f} updates",
            {"highest 98th percentile": high.max(axis=(1, 2))},
        )
    return np.where(reached, done[np.argmax(saturated, axis=1)], 2 * done[-1]), done


def _epochs(when: np.ndarray, done: np.ndarray) -> list[float | None]:
    """Median over seeds, None for a layer that does not get there in most."""
    median = np.median(when, axis=0)
    return [float(w) / UPDATES_PER_EPOCH if w <= done[-1] else None for w in median]


def _range_over_layers(found: xr.Dataset) -> np.ndarray:
    return over_time(np.ptp(percentile_98(found), axis=2), updates(found))


def _log_densities(found: xr.Dataset) -> dict[str, np.ndarray]:
    """Log of the mean density in each zone at the end, over all layers, [seed]."""
    dims = ("seed", "update", "layer", "bin")
    last = values(found, "activation_histogram", *dims)[:, -1].mean(axis=1)
    zones = {"zero": ZERO, "between": BETWEEN, "knee": KNEE, "extreme": EXTREME}
    return {name: np.log(density(last, *zone) + EMPTY) for name, zone in zones.items()}
