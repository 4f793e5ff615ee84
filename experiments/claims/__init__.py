"""What the paper asserts, as predicates on the results: ``judge(results)``.

``OUR_CLAIMS`` are what we expected of a question of our own. They are judged by the same rule, by
``judge_ours``, and never counted among the paper's.

One file a figure, table or section; each predicate stands right above its claim. A claim holds if
the 95% interval over seeds (paired by seed where two nets are compared) lies on the side claimed,
is contradicted if it lies on the other, and undecided if it reaches over the bound. It is not
tested where the results lack what it takes: a group, a second seed, the length or the width that it
speaks of.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from experiments.claims import (
    baseline,
    costs,
    eq17,
    equations,
    fig01,
    fig02,
    fig03,
    fig04,
    fig05,
    fig06,
    fig07,
    fig08,
    fig09,
    fig10,
    fig11,
    fig12,
    other_sets,
    our_adam,
    our_first_layer,
    our_plateau,
    section5,
    selection,
    table1,
)
from experiments.claims.verdict import STATUSES, Claim, Status, Verdict, decide, interval
from experiments.exhibits import EXHIBITS
from glorot_jax.confidence import CONFIDENCE

CLAIMS: tuple[Claim, ...] = (
    *fig01.CLAIMS,
    *fig02.CLAIMS,
    *fig03.CLAIMS,
    *fig04.CLAIMS,
    *fig05.CLAIMS,
    *equations.CLAIMS,
    *fig06.CLAIMS,
    *fig07.CLAIMS,
    *fig08.CLAIMS,
    *eq17.CLAIMS,
    *fig09.CLAIMS,
    *fig10.CLAIMS,
    *other_sets.CLAIMS,
    *fig11.CLAIMS,
    *fig12.CLAIMS,
    *table1.CLAIMS,
    *selection.CLAIMS,
    *costs.CLAIMS,
    *section5.CLAIMS,
    *baseline.CLAIMS,
)
OUR_CLAIMS: tuple[Claim, ...] = (
    *our_plateau.CLAIMS,
    *our_adam.CLAIMS,
    *our_first_layer.CLAIMS,
)


@dataclass(frozen=True)
class Judgement:
    """A claim and how it fared."""

    claim: Claim
    verdict: Verdict


def judge(results: xr.DataTree, /) -> list[Judgement]:
    """Every claim of the paper tested on ``results``, in the order of ``CLAIMS``."""
    return [Judgement(claim, claim.test(results)) for claim in CLAIMS]


def judge_ours(results: xr.DataTree, /) -> list[Judgement]:
    """Those of ``OUR_CLAIMS`` of whose study ``results`` hold anything."""
    asked = [c for c in OUR_CLAIMS if set(EXHIBITS[c.figure].stages) <= set(results.children)]
    return [Judgement(claim, claim.test(results)) for claim in asked]


def counts(judgements: Iterable[Judgement], /) -> dict[Status, int]:
    """How many claims have each status."""
    statuses = [judgement.verdict.status for judgement in judgements]
    return {status: statuses.count(status) for status in STATUSES}


def q_values(judgements: Sequence[Judgement], /) -> list[float | None]:
    """The false discovery rate at which each verdict by interval would still stand.

    Benjamini & Hochberg (1995): p times the number of tests over its rank, made monotone. Of the
    claims decided with q below 5%, about 5% are expected to be decided wrongly by chance. None
    where a verdict rests on no interval.
    """
    tested = [place for place, one in enumerate(judgements) if one.verdict.p is not None]
    corrected: list[float | None] = [None] * len(judgements)
    if tested:
        from scipy.stats import false_discovery_control  # imported when needed: it takes a second

        p = np.array([judgements[place].verdict.p for place in tested], np.float64)
        for place, q in zip(tested, false_discovery_control(p), strict=True):
            corrected[place] = float(q)
    return corrected


FALSE_DISCOVERY_RATE = 0.05


def at_false_discovery_rate(judgements: Sequence[Judgement], /) -> str:
    """One sentence: how many verdicts by an interval stand at ``FALSE_DISCOVERY_RATE``; "" of none.

    Each interval alone is wrong one time in twenty, which over many claims is more than a few.
    """
    decided = [
        q
        for one, q in zip(judgements, q_values(judgements), strict=True)
        if q is not None and one.verdict.status in ("holds", "contradicted")
    ]
    if not decided:
        return ""
    standing = sum(q < FALSE_DISCOVERY_RATE for q in decided)
    return (
        f"Of {len(decided)} claims decided by a {CONFIDENCE:.0%} interval {standing} stand at a "
        f"false discovery rate of {FALSE_DISCOVERY_RATE:.0%} (q below {FALSE_DISCOVERY_RATE}, "
        f"Benjamini and Hochberg): about {FALSE_DISCOVERY_RATE * standing:.0f} of these by chance."
    )


def to_json(judgements: Iterable[Judgement], /) -> str:
    """The contents of ``claims.json``, or of ``our_claims.json``: an object for each claim."""
    judgements = list(judgements)
    corrected = q_values(judgements)
    entries = [
        _entry(judgement.claim, judgement.verdict) | {"q": q}
        for judgement, q in zip(judgements, corrected, strict=True)
    ]
    return json.dumps(entries, indent=2, allow_nan=False) + "\n"


def _entry(claim: Claim, verdict: Verdict) -> dict[str, object]:
    return {
        "id": claim.id,
        "where": claim.where,
        "figure": claim.figure,
        "expected" if claim.ours else "paper": claim.paper,
        "sentence": claim.sentence,
        "status": verdict.status,
        "reason": verdict.reason,
        "p": verdict.p,
        "numbers": dict(verdict.numbers),
        "if_it_fails": claim.if_it_fails,
    }


__all__ = [
    "CLAIMS",
    "OUR_CLAIMS",
    "Claim",
    "Judgement",
    "Status",
    "Verdict",
    "at_false_discovery_rate",
    "counts",
    "decide",
    "interval",
    "judge",
    "judge_ours",
    "q_values",
    "to_json",
]
