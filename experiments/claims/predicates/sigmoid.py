"""Sigmoid nets during training: Fig. 2."""

import numpy as np
import xarray as xr

from experiments.claims.measured import (
    PAPER_UPDATES,
    UPDATES_PER_EPOCH,
    condition,
    course,
    last_update,
    over_time,
    updates,
)
from experiments.claims.verdict import NotTested, Verdict, decide

# A sigmoid starts at a mean of 0.5. Pushed to 0: a tenth of that. Left again: twice as much, so
# that a wobble about the first line isn't taken for an escape.
NEAR_ZERO = 0.05
LEFT_ZERO = 0.1
# "Very quickly": within a fifth of the 100 epochs that leaving then takes.
QUICK_EPOCHS = 20
# "Around epoch 100": nearer to it than to the start, and as far on the other side.
LEAVING_EPOCH = 100
EARLIEST, LATEST = 50, 150


def top_falls(part: xr.Dataset, /) -> Verdict:
    """Lowest mean of the top layer within the first 20 epochs, 4 layers."""
    found = condition(part, "sigmoid", "standard", depth=4)
    top, done = course(found, "activation_mean")[..., -1], updates(found)
    quick = done <= QUICK_EPOCHS * UPDATES_PER_EPOCH
    verdict = decide(
        top[:, quick].min(axis=1),
        what=f"lowest mean of the top layer within {QUICK_EPOCHS} epochs",
        below=NEAR_ZERO,
        numbers={"at the start": top[:, 0], "at the end": top[:, -1]},
    )
    return _unless_short(verdict, found, QUICK_EPOCHS)


def lower_layers_above_half(part: xr.Dataset, /) -> Verdict:
    """Mean of the layers below the top one while that is at 0; the lowest layer decides."""
    lower = _while_saturated(part)
    return decide(
        lower.min(axis=1),
        what="lowest mean of a layer below the top one",
        above=0.5,
        numbers={"mean by layer": lower.mean(axis=0).tolist()},
    )


def lower_layers_in_order(part: xr.Dataset, /) -> Verdict:
    """Each layer's mean less that of the layer below it; the least clear step decides."""
    lower = _while_saturated(part)
    return decide(
        np.diff(lower, axis=1).min(axis=1),
        what="least rise of the mean from a layer to the one above",
        above=0.0,
        numbers={"mean by layer": lower.mean(axis=0).tolist()},
    )


def leaves_about_epoch_100(part: xr.Dataset, /) -> Verdict:
    """When the top layer of 4 has left 0."""
    found = condition(part, "sigmoid", "standard", depth=4)
    done = updates(found)
    left = _left(course(found, "activation_mean")[..., -1], done)
    staying = int(np.sum(np.isnan(left)))
    epochs = left / UPDATES_PER_EPOCH
    numbers = {"seeds still at 0": staying, "epoch of leaving by seed": epochs.tolist()}
    if staying and done[-1] < LATEST * UPDATES_PER_EPOCH:
        raise NotTested(
            f"{staying} of {left.size} seeds are still at 0 after {done[-1]:.0f} updates; it takes "
            f"{LEAVING_EPOCH * UPDATES_PER_EPOCH} and is looked for until "
            f"{LATEST * UPDATES_PER_EPOCH}",
            numbers,
        )
    # A seed that stays would leave later than the run is long: that is a lower bound.
    return decide(
        np.where(np.isnan(left), done[-1] / UPDATES_PER_EPOCH, epochs),
        what="epoch at which the top layer has left 0",
        above=EARLIEST,
        below=LATEST,
        numbers=numbers,
    )


def depth_5_never_leaves(part: xr.Dataset, /) -> Verdict:
    """Highest mean of the top layer of 5 once it has fallen to 0."""
    found = condition(part, "sigmoid", "standard", depth=5)
    top = course(found, "activation_mean")[..., -1]
    saturated = _reached(top)
    after = np.logical_or.accumulate(saturated, axis=1)
    verdict = decide(
        np.max(np.where(after, top, -np.inf), axis=1),
        what="highest mean of the top layer after it has fallen",
        below=LEFT_ZERO,
    )
    if verdict.status == "holds" and last_update(found) < PAPER_UPDATES:
        raise NotTested(
            f"still at 0, but the run of {last_update(found)} updates is shorter than the paper's "
            f"{PAPER_UPDATES}",
            verdict.numbers,
        )
    return verdict


def first_layer_saturates_as_the_top_leaves(part: xr.Dataset, /) -> Verdict:
    """Saturated fraction of layer 1 after the top layer has left 0, less that before."""
    found = condition(part, "sigmoid", "standard", depth=4)
    top, done = course(found, "activation_mean")[..., -1], updates(found)
    at_zero, left = _reached(top), _left(top, done)
    if np.isnan(left).any():
        raise NotTested(
            f"the top layer of {np.sum(np.isnan(left))} of {left.size} seeds is still at 0"
        )
    first = course(found, "activation_saturated")[..., 0]
    after = _mean_where(first, done[None, :] >= left[:, None])
    before = _mean_where(first, at_zero & (done[None, :] < left[:, None]))
    return decide(
        after - before,
        what="rise of the saturated fraction of layer 1",
        above=0.0,
        numbers={"before": before, "after": after},
    )


def tanh_top_stays_clear(part: xr.Dataset, /) -> Verdict:
    """Saturated fraction of the top layer over the first 20 epochs, sigmoid less tanh."""
    sigmoid = condition(part, "sigmoid", "standard", depth=4)
    tanh = condition(part, "tanh", "standard")
    done = updates(sigmoid)
    quick = done <= QUICK_EPOCHS * UPDATES_PER_EPOCH
    if quick.sum() < 2:
        raise NotTested(f"fewer than two checkpoints in the first {QUICK_EPOCHS} epochs")
    _reached(course(sigmoid, "activation_mean")[:, quick, -1])
    fractions = {
        name: over_time(course(found, "activation_saturated")[:, quick, -1], done[quick])
        for name, found in (("sigmoid", sigmoid), ("tanh", tanh))
    }
    return decide(
        fractions["sigmoid"] - fractions["tanh"],
        what="saturated fraction of the top layer, sigmoid less tanh",
        above=0.0,
        numbers=fractions,
    )


def _reached(top: np.ndarray) -> np.ndarray:
    """Where the top layer's mean [seed, update] is at 0; every seed must get there."""
    saturated = top < NEAR_ZERO
    never = int(np.sum(~saturated.any(axis=1)))
    if never:
        raise NotTested(
            f"the top layer of {never} of {len(top)} seeds was never seen at 0 "
            f"(a mean below {NEAR_ZERO})",
            {"lowest mean of the top layer": top.min(axis=1)},
        )
    return saturated


def _left(top: np.ndarray, done: np.ndarray) -> np.ndarray:
    """The update at which the top layer has left 0, NaN where it has not, [seed]."""
    after = np.logical_or.accumulate(_reached(top), axis=1)
    left = after & (top > LEFT_ZERO)
    return np.where(left.any(axis=1), done[np.argmax(left, axis=1)], np.nan)


def _while_saturated(part: xr.Dataset) -> np.ndarray:
    """Mean of each layer below the top one while the top one is at 0, [seed, layer]."""
    found = condition(part, "sigmoid", "standard", depth=4)
    mean = course(found, "activation_mean")
    saturated = _reached(mean[..., -1])
    layers = range(mean.shape[-1] - 1)
    return np.stack([_mean_where(mean[..., layer], saturated) for layer in layers], axis=1)


def _mean_where(series: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean of [seed, update] over the checkpoints chosen, [seed]."""
    return np.sum(np.where(where, series, 0), axis=1) / where.sum(axis=1)


def _unless_short(verdict: Verdict, found: xr.Dataset, epochs: int) -> Verdict:
    """What hasn't happened in a run too short for it is not tested."""
    if verdict.status == "fails" and last_update(found) < epochs * UPDATES_PER_EPOCH:
        raise NotTested(
            f"not seen in {last_update(found)} updates, fewer than the "
            f"{epochs * UPDATES_PER_EPOCH} it is given",
            verdict.numbers,
        )
    return verdict
