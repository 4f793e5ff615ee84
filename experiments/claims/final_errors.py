"""Predicates on final test errors, which Figs. 11 and 12, Table 1 and the studies share."""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import stats

from experiments.claims.networks import SYMMETRIC, find
from experiments.claims.paper import PAPER_P, PAPER_TEST_EXAMPLES
from experiments.claims.plateau import learning_begun
from experiments.claims.verdict import CONFIDENCE, Claim, Verdict, decide, decide_all, on
from experiments.results.queries import values

FINAL = ("final_test_error", "seed")


def final(group: xr.Dataset, name: str, /) -> np.ndarray:
    """Final test error of the net ``name``, [seed]."""
    return values(find(group, name), *FINAL)


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
        np.sign(errors[higher] - errors[lower])
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
    """``error`` [seed] against the paper's, by less than its p calls different for its test set."""
    sampling = math.sqrt(2 * paper * (1 - paper) / PAPER_TEST_EXAMPLES)
    reach = float(stats.norm.ppf(1 - PAPER_P / 2)) * sampling
    return decide(
        error, what=what, above=paper - reach, below=paper + reach, numbers={"paper": paper}
    )
