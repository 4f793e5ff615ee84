"""Model selection: the depth that validation error chooses, section 2.3."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from experiments.claims.measured import (
    PAPER_UPDATES,
    at_chosen_rate,
    condition,
    last_update,
    values,
)
from experiments.claims.nets import NETS
from experiments.claims.predicates.errors import learning_begun, long_enough_to_leave
from experiments.claims.verdict import NotTested, Verdict, decide


def best_depth(part: xr.Dataset, /, *, nets: Sequence[str], depth: int) -> Verdict:
    """Last validation error of the best other depth less that of ``depth``, paired by seed.

    Of several nets the one with the least lead decides. In a run shorter than the paper's every net
    must have begun to learn at ``depth``, or the comparison would be of speed; sigmoid's must be as
    long as leaving its plateau takes.
    """
    if "Sigmoid" in nets:
        long_enough_to_leave(part)
    leads, numbers = {}, {}
    for net in nets:
        errors = _by_depth(part, net)
        others = [error for deep, error in errors.items() if deep != depth]
        if depth not in errors or not others:
            raise NotTested(
                f"{net} was trained with {list(errors)} layers only, not beside {depth}"
            )
        if last_update(part) < PAPER_UPDATES:
            learning_begun(part, {f"{net}, {depth} layers": errors[depth]})
        leads[net] = np.min(others, axis=0) - errors[depth]
        numbers[f"{net}: validation error by depth"] = {
            str(deep): float(error.mean()) for deep, error in errors.items()
        }
    return decide(
        np.min(list(leads.values()), axis=0),
        what=f"validation error of the best other depth less that of {depth} layers",
        above=0.0,
        numbers={f"{net}: lead of {depth} layers": lead for net, lead in leads.items()} | numbers,
    )


def _by_depth(part: xr.Dataset, net: str) -> dict[int, np.ndarray]:
    """Last validation error at each depth's own chosen rate, [seed], by depth."""
    activation, initializer = NETS[net][:2]
    mine = (part.coords["activation"] == activation) & (part.coords["initializer"] == initializer)
    return {
        int(deep): at_chosen_rate(
            condition(part, activation, initializer, depth=int(deep)), "validation_error"
        )[:, -1]
        for deep in np.unique(values(part, "depth", "condition")[mine.values])
    }
