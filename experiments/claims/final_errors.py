"""Predicates on final test errors, which Figs. 11 and 12, Table 1 and the studies share."""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.special import ndtri

from experiments.claims.networks import SYMMETRIC, find
from experiments.claims.paper import PAPER_P, PAPER_TEST_EXAMPLES
from experiments.claims.plateau import learning_begun
from experiments.claims.verdict import (
    CONFIDENCE,
    Claim,
    Verdict,
    clean,
    decide,
    decide_all,
    interval,
    on,
)
from experiments.results.queries import final_error
from glorot_jax.confidence import Spread, each_seed, spread_of_mean

# How far beyond the sampling of two test sets a prediction may reach and still say something.
TELLING = 2.0


def final(group: xr.Dataset, name: str, /) -> np.ndarray:
    """Final test error of the net ``name``: see ``final_error``."""
    return final_error(find(group, name))


def difference(
    group: xr.Dataset, /, *, worse: str, better: str, confidence: float = CONFIDENCE
) -> Verdict:
    """Final test error of one net less another's, paired by seed."""
    errors = {name: final(group, name) for name in (worse, better)}
    learning_begun(group, errors)
    return decide(
        errors[worse] - errors[better],
        what=f"final test error, {worse} less {better}",
        above=0.0,
        confidence=confidence,
        numbers=errors,
    )


def comparison(
    id: str, group: str, where: str, worse: str, better: str, *, paper: str, why: str
) -> Claim:
    """The claim that ``better`` ends lower than ``worse`` in the study ``group``."""
    return Claim(
        id=id,
        where=where,
        paper=paper,
        sentence=f"Seed by seed, the net '{better}' ends at a lower test error than '{worse}'.",
        figure=group,
        test=on(group, difference, worse=worse, better=better),
        if_it_fails=why,
    )


def in_order(group: xr.Dataset, /, *, order: Sequence[Sequence[str]]) -> Verdict:
    """Kendall's tau between the paper's order and ours, pairs that the paper ties left out.

    ``order``: nets that the paper ties stand together; from the highest final error to the lowest.
    """
    errors = {name: final(group, name) for tied in order for name in tied}
    learning_begun(group, errors)
    pairs = [
        np.sign(each_seed(errors[higher]) - each_seed(errors[lower]))
        for place, tied in enumerate(order)
        for higher in tied
        for below in order[place + 1 :]
        for lower in below
    ]
    return decide(
        np.mean(pairs, axis=0),
        what="rank correlation with the paper's order",
        above=0.0,
        numbers=errors,
    )


def sigmoid_worst(group: xr.Dataset, /) -> Verdict:
    """Sigmoid of the table's depth less each of the symmetric nets."""
    return above_all(group, ("Sigmoid",), SYMMETRIC)


def above_all(group: xr.Dataset, worse: Sequence[str], better: Sequence[str]) -> Verdict:
    """Each of ``worse`` less each of ``better``, paired by seed: all above 0."""
    errors = {name: final(group, name) for name in (*worse, *better)}
    learning_begun(group, errors)
    differences = {
        f"{higher} less {lower}": errors[higher] - errors[lower]
        for higher in worse
        for lower in better
    }
    return decide_all(differences, what="final test error", numbers=errors)


def as_in_the_paper(error: np.ndarray, paper: float, /, *, what: str) -> Verdict:
    """Whether one more run of ours, on the paper's own test set, could give the paper's number.

    The prediction interval at the paper's p: ``error``'s own uncertainty, the spread of one seed,
    and the sampling of a test set of 10 000. It holds if the paper's number lies in it, unless the
    interval reaches more than ``TELLING`` times as far as two such test sets' sampling alone does,
    which is too far to tell.
    """
    mean, spread = float(interval(error).mean), spread_of_mean(error)
    of_a_test_set = paper * (1 - paper) / PAPER_TEST_EXAMPLES
    seeds = spread.from_seeds * (1 + len(error))
    sampling = spread.from_examples + of_a_test_set
    # What sampling adds is known, so it brings no doubt of its own into the degrees of freedom.
    degrees = (len(error) - 1) * (1 + sampling / seeds) ** 2 if seeds else math.inf
    reach = Spread(seeds, sampling, degrees).half(confidence=1 - PAPER_P)
    farthest = TELLING * float(ndtri(1 - PAPER_P / 2)) * math.sqrt(2 * of_a_test_set)
    numbers = clean(
        {
            what: {"mean": mean, "low": mean - reach, "high": mean + reach, "n": len(error)},
            "paper": paper,
            "reach that still tells": farthest,
        }
    )
    one_more = (
        f"{what}: {mean:.3g}, so that one more run at p = {PAPER_P} lies in {mean - reach:.3g} to "
        f"{mean + reach:.3g} by {len(error)} seeds; the paper's is {paper:.3g}"
    )
    if abs(paper - mean) > reach:
        return Verdict("contradicted", numbers, f"{one_more}; contradicted: outside")
    if reach > farthest:
        return Verdict(
            "undecided",
            numbers,
            f"{one_more}; undecided: inside what reaches too far to tell; needs more seeds",
        )
    return Verdict("holds", numbers, f"{one_more}; inside, as claimed")
