"""Section 3.2 and Fig. 3: when the layers of tanh and softsign networks saturate."""

import math

import numpy as np
import xarray as xr

from experiments.claims.explanations import LENGTH, RATE
from experiments.claims.fig02 import QUICK_EPOCHS, reached
from experiments.claims.paper import UPDATES_PER_EPOCH
from experiments.claims.reductions import course, over_time, percentile_98, updates
from experiments.claims.verdict import Claim, NotTested, Verdict, decide, on
from experiments.data.registry import SHAPESET
from experiments.results.queries import condition
from glorot_jax.activations import SATURATED_SLOPE

# tanh' = 1 - tanh^2, so this is where the slope is the one that the probe calls saturated.
SATURATED_TANH = math.sqrt(1 - SATURATED_SLOPE)
BEGINNING = 0.1  # of a run
# Ours: a gentle bend, an exponential approach that takes half of the run, has 4.
FASTER = 5
ORDERED = 3  # layers that make an order; of two, one in two is right by chance


def tanh_top_stays_clear(group: xr.Dataset, /) -> Verdict:
    """Saturated fraction of the top layer over the first 20 epochs, sigmoid less tanh."""
    sigmoid = condition(group, "sigmoid", "standard", depth=4)
    tanh = condition(group, "tanh", "standard")
    done = updates(sigmoid)
    quick = done <= QUICK_EPOCHS * UPDATES_PER_EPOCH
    if quick.sum() < 2:
        raise NotTested(f"fewer than two checkpoints in the first {QUICK_EPOCHS} epochs")
    reached(course(sigmoid, "activation_mean")[:, quick, -1])
    fractions = {
        name: over_time(course(net, "activation_saturated")[:, quick, -1], done[quick])
        for name, net in (("sigmoid", sigmoid), ("tanh", tanh))
    }
    return decide(
        fractions["sigmoid"] - fractions["tanh"],
        what="saturated fraction of the top layer, sigmoid less tanh",
        above=0.0,
        numbers=fractions,
    )


TANH_TOP_STAYS_CLEAR = Claim(
    id="tanh-top-stays-clear",
    where="Section 3.2",
    paper="Tanh nets don't suffer the saturation of the top layer that sigmoid nets do.",
    sentence="Over the first 20 epochs a smaller fraction of the top layer is saturated in "
    "tanh (standard) than in sigmoid with four layers.",
    figure="fig03",
    test=on(SHAPESET, tanh_top_stays_clear),
    if_it_fails="A mean near 0 need not be saturation by the slope that we count by, 5% of the "
    "steepest; the sigmoid's histogram would tell how close to 0 its units are.",
)


def saturates_in_order(group: xr.Dataset, /) -> Verdict:
    """Kendall's tau between a layer's place and when its 98th percentile saturates."""
    when, done = tanh_saturation(group)
    fewest = int((when <= done[-1]).sum(axis=1).min())
    if fewest < ORDERED:
        raise NotTested(
            f"in one seed only {fewest} layer(s) of tanh standard saturate in {done[-1]:.0f} "
            f"updates; an order takes {ORDERED}",
            {"epoch of saturation by layer": _epochs(when, done)},
        )
    later = np.sign(when[:, None, :] - when[:, :, None])
    lower, upper = np.triu_indices(when.shape[1], k=1)
    return decide(
        later[:, lower, upper].mean(axis=1),
        what="rank correlation of layer and time of saturation",
        above=0.0,
        numbers={"epoch of saturation by layer": _epochs(when, done)},
    )


TANH_SATURATES_IN_ORDER = Claim(
    id="fig03-tanh-saturates-in-order",
    where="Section 3.2 and Fig. 3, caption",
    paper="With tanh and standard initialisation the first layer saturates first, then the "
    "second, and so on.",
    sentence="The order in which the layers' 98th percentiles reach "
    f"{SATURATED_TANH:.3f} (slope 5%) agrees with the order of the layers: their "
    "rank correlation is positive.",
    figure="fig03",
    test=on(SHAPESET, saturates_in_order),
    if_it_fails=RATE,
)


def first_layer_leads(group: xr.Dataset, /) -> Verdict:
    """Epochs from the saturation of layer 1 to that of the next layer to follow."""
    when, done = tanh_saturation(group)
    when = np.minimum(when, done[-1])  # not yet: at the end at the earliest
    return decide(
        (when[:, 1:].min(axis=1) - when[:, 0]) / UPDATES_PER_EPOCH,
        what="lead of layer 1 in epochs",
        above=0.0,
        numbers={"epoch of saturation by layer": _epochs(when, done)},
    )


FIRST_LAYER_LEADS = Claim(
    id="fig03-first-layer-leads",
    where="Section 3.2 and Fig. 3, caption",
    paper="Saturation starts with layer 1.",
    sentence="Tanh, standard: the 98th percentile of layer 1 reaches "
    f"{SATURATED_TANH:.3f} before that of any other layer.",
    figure="fig03",
    test=on(SHAPESET, first_layer_leads),
    if_it_fails=RATE,
)


def softsign_saturates_less(group: xr.Dataset, /) -> Verdict:
    """Last 98th percentile, mean over layers: tanh less softsign."""
    tanh_saturation(group)
    tanh, softsign = (
        percentile_98(condition(group, name, "standard"))[:, -1].mean(axis=1)
        for name in ("tanh", "softsign")
    )
    return decide(
        tanh - softsign,
        what="98th percentile at the end, tanh less softsign",
        above=0.0,
        numbers={"tanh": tanh, "softsign": softsign},
    )


SOFTSIGN_SATURATES_LESS = Claim(
    id="fig03-softsign-saturates-less",
    where="Fig. 3, caption",
    paper="With softsign the layers saturate less.",
    sentence="At the end the 98th percentile of the activations, mean over layers, is lower "
    "for softsign than for tanh, both standard.",
    figure="fig03",
    test=on(SHAPESET, softsign_saturates_less),
    if_it_fails=LENGTH,
)


def moves_together(group: xr.Dataset, /, *, activation: str, scheme: str) -> Verdict:
    """Range over layers of the 98th percentile, mean over the run: tanh standard less this."""
    tanh_saturation(group)
    standard = _range_over_layers(condition(group, "tanh", "standard"))
    other = _range_over_layers(condition(group, activation, scheme))
    return decide(
        standard - other,
        what=f"range over layers of the 98th percentile, tanh less {activation} {scheme}",
        above=0.0,
        numbers={"tanh standard": standard, f"{activation} {scheme}": other},
    )


SOFTSIGN_TOGETHER = Claim(
    id="fig03-softsign-together",
    where="Section 3.3 and Fig. 3, caption",
    paper="With softsign the layers saturate together, not one after the other.",
    sentence="Over the run the layers' 98th percentiles lie closer together for softsign than "
    "for tanh, both standard.",
    figure="fig03",
    test=on(SHAPESET, moves_together, activation="softsign", scheme="standard"),
    if_it_fails="Standard initialisation starts both nets' layers far apart, and a run too "
    "short is mostly start; the range over layers by update would decide.",
)


def fast_then_slow(group: xr.Dataset, /) -> Verdict:
    """Softsign: how fast the 98th percentile rises at first, less as many times its later rate."""
    net = condition(group, "softsign", "standard")
    high, done = percentile_98(net).mean(axis=2), updates(net)
    rise = high[:, -1] - high[:, 0]
    if np.any(rise <= 0):
        raise NotTested("the 98th percentile did not rise in this run", {"rise": rise})
    first, half = (int(np.sum(done <= part * done[-1])) - 1 for part in (BEGINNING, 0.5))
    if not first:
        raise NotTested("no checkpoint in the first tenth of the run")
    fast = UPDATES_PER_EPOCH * (high[:, first] - high[:, 0]) / (done[first] - done[0])
    slow = UPDATES_PER_EPOCH * (high[:, -1] - high[:, half]) / (done[-1] - done[half])
    return decide(
        fast - FASTER * slow,
        what=f"rise an epoch in the first tenth, less {FASTER} times that in the last half",
        above=0.0,
        numbers={"first tenth, an epoch": fast, "last half, an epoch": slow, "rise": rise},
    )


SOFTSIGN_FAST_THEN_SLOW = Claim(
    id="fig03-softsign-fast-then-slow",
    where="Section 3.3",
    paper="Softsign's saturation is faster at the beginning and then slow.",
    sentence="Its 98th percentile, mean over layers, rises in the first tenth of the run at more "
    f"than {FASTER} times the rate of the last half; a straight line has 1.",
    figure="fig03",
    test=on(SHAPESET, fast_then_slow),
    if_it_fails=LENGTH,
)


def tanh_saturation(group: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """When each layer of tanh standard saturates [seed, layer], and the updates measured.

    A layer that never does counts as after the end. Every seed must have one that does: without
    saturation the run is too short for what the paper says of it.
    """
    net = condition(group, "tanh", "standard")
    done = updates(net)
    high = percentile_98(net)
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


def _range_over_layers(net: xr.Dataset) -> np.ndarray:
    return over_time(np.ptp(percentile_98(net), axis=2), updates(net))


CLAIMS = (
    TANH_TOP_STAYS_CLEAR,
    TANH_SATURATES_IN_ORDER,
    FIRST_LAYER_LEADS,
    SOFTSIGN_SATURATES_LESS,
    SOFTSIGN_TOGETHER,
    SOFTSIGN_FAST_THEN_SLOW,
)
