"""Who has learned nothing yet: Shapeset's plateau, and when learning has begun."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from experiments.claims.paper import UPDATES_PER_EPOCH
from experiments.claims.reductions import last_update, updates
from experiments.claims.verdict import NotTested, interval
from experiments.measurements.selected import BEGUN
from experiments.results.queries import at_chosen_rate

# Shapeset's single-shape classes have 1/6 each, so whoever always answers one of them errs in 5/6.
PLATEAU = 5 / 6
SHAPESET_CLASSES = 9  # no other set here has nine; the others' classes are equally likely
# The paper's own entry for a net that never left, 82.61%, is 0.7 points below; three sampling
# errors of 10 000 test examples are 1.1 points more.
PLATEAU_REACH = 0.02
# Of the top of four sigmoid layers, in the paper.
LEAVING_EPOCH = 100


def learning_begun(group: xr.Dataset, errors: Mapping[str, np.ndarray], /) -> None:
    """Raises NotTested if the best of these nets still errs like guessing."""
    best = min(interval(error).mean for error in errors.values())
    if not best < BEGUN * guessing(group):
        raise NotTested(
            f"no net has begun to learn: the best final test error is {best:.3f}, guessing's "
            f"{guessing(group):.3f}",
            errors,
        )


def guessing(group: xr.Dataset, /) -> float:
    """The error of always giving the likeliest answer."""
    classes = int(group.attrs.get("classes", 0))
    return PLATEAU if classes == SHAPESET_CLASSES else 1 - 1 / max(classes, 2)


def left_at(error: np.ndarray, done: np.ndarray, below: float, /) -> np.ndarray:
    """Updates at which each course ``error`` [.., update] first falls below ``below``, [..].

    Between the two measurements around it the error is taken to fall in a straight line. 0 if it
    begins below; NaN if it never gets there, or isn't a number on the way.
    """
    reached = error < below
    after = np.argmax(reached, axis=-1)
    before = np.maximum(after - 1, 0)
    ends = [np.take_along_axis(error, at[..., None], axis=-1)[..., 0] for at in (before, after)]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(after > 0, (ends[0] - below) / (ends[0] - ends[1]), 0.0)
    when = done[before] + part * (done[after] - done[before])
    return np.where(reached.any(axis=-1), when, np.nan)


def leaving(net: xr.Dataset, /) -> np.ndarray:
    """Updates after which a net has left its plateau, [seed]; NaN for a seed that hasn't.

    It has where its test error is a tenth below that of guessing: on Shapeset 75%, ten sampling
    errors of 2000 examples away from the plateau's 83.3%.
    """
    return left_at(at_chosen_rate(net, "test_error"), updates(net), BEGUN * guessing(net))


def at_the_earliest(net: xr.Dataset, /) -> np.ndarray:
    """``leaving``, and the end of the run for a seed that is still there: it takes longer."""
    return np.fmin(leaving(net), updates(net)[-1])


def long_enough_to_leave(group: xr.Dataset, /) -> None:
    """Raises NotTested if a sigmoid net of 4 layers can't have left its plateau in the paper."""
    needed = LEAVING_EPOCH * UPDATES_PER_EPOCH
    if last_update(group) < needed:
        raise NotTested(
            f"{last_update(group)} updates; a sigmoid net of 4 layers leaves its plateau after "
            f"about {needed}"
        )
