"""Section 2.3: the depth that validation error chooses."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from experiments.claims.networks import NETWORKS, SYMMETRIC
from experiments.claims.paper import PAPER_UPDATES
from experiments.claims.plateau import learning_begun, long_enough_to_leave
from experiments.claims.reductions import last_update
from experiments.claims.verdict import Claim, NotTested, Verdict, decide_all, on
from experiments.networks import read
from experiments.results.queries import at_chosen_rate, condition

_DEPTH = (
    "Deeper nets take longer, so a shorter run favours shallower ones, and neighbouring depths may "
    "differ by less than the seeds' spread. The paper's own length, and more seeds, would decide."
)


def best_depth(group: xr.Dataset, /, *, nets: Sequence[str], depth: int) -> Verdict:
    """Last validation error of each other depth less that of ``depth``, paired by seed.

    The lead of every net over every other depth must be above 0. In a run shorter than the paper's
    every net must have begun to learn at ``depth``, or the comparison would be of speed; sigmoid's
    must be as long as leaving its plateau takes.
    """
    if "Sigmoid" in nets:
        long_enough_to_leave(group)
    leads: dict[str, np.ndarray] = {}
    numbers: dict[str, object] = {}
    for net in nets:
        errors = _by_depth(group, net)
        if depth not in errors or len(errors) < 2:
            raise NotTested(
                f"{net} was trained with {list(errors)} layers only, not beside {depth}"
            )
        if last_update(group) < PAPER_UPDATES:
            learning_begun(group, {f"{net}, {depth} layers": errors[depth]})
        leads |= {
            f"{net}, {deep} less {depth} layers": error - errors[depth]
            for deep, error in errors.items()
            if deep != depth
        }
        numbers[f"{net}: validation error by depth"] = {
            str(deep): float(error.mean()) for deep, error in errors.items()
        }
    return decide_all(leads, what="validation error", numbers=numbers)


def _selection(id: str, nets: tuple[str, ...], depth: int, whose: str) -> Claim:
    return Claim(
        id=id,
        where="Section 2.3",
        paper=f"Chosen on validation error, the best depth on Shapeset is {depth} for {whose}.",
        sentence=f"Seed by seed, {depth} hidden layers end at a lower validation error than every "
        f"other depth tried, each at its own best learning rate: {', '.join(nets)}.",
        figure="selection",
        test=on("selection", best_depth, nets=nets, depth=depth),
        if_it_fails=_DEPTH,
    )


def _by_depth(group: xr.Dataset, net: str) -> dict[int, np.ndarray]:
    """Last validation error at each depth's own chosen rate, [seed], by depth."""
    kind = NETWORKS[net].kind
    depths = sorted({spec.depth for spec in read(group) if spec.kind == kind})
    return {
        depth: at_chosen_rate(condition(group, *kind, depth=depth), "validation_error")[:, -1]
        for depth in depths
    }


CLAIMS = (
    _selection("selection-best-depth", SYMMETRIC, 5, "tanh and softsign"),
    _selection("selection-sigmoid-depth", ("Sigmoid",), 4, "sigmoid"),
)
