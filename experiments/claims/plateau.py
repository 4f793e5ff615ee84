"""Who has learned nothing yet: Shapeset's plateau, and when learning has begun."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from experiments.claims.paper import UPDATES_PER_EPOCH
from experiments.claims.reductions import last_update
from experiments.claims.verdict import NotTested, interval
from experiments.measurements.selected import BEGUN

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
    classes = int(group.attrs.get("classes", 0))
    guessing = PLATEAU if classes == SHAPESET_CLASSES else 1 - 1 / max(classes, 2)
    best = min(interval(error).mean for error in errors.values())
    if not best < BEGUN * guessing:
        raise NotTested(
            f"no net has begun to learn: the best final test error is {best:.3f}, guessing's "
            f"{guessing:.3f}",
            errors,
        )


def long_enough_to_leave(group: xr.Dataset, /) -> None:
    """Raises NotTested if a sigmoid net of 4 layers can't have left its plateau in the paper."""
    needed = LEAVING_EPOCH * UPDATES_PER_EPOCH
    if last_update(group) < needed:
        raise NotTested(
            f"{last_update(group)} updates; a sigmoid net of 4 layers leaves its plateau after "
            f"about {needed}"
        )
