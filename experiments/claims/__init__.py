"""What the paper asserts, as predicates on the results: ``judge(results)``.

A claim holds if the 95% interval over seeds (paired by seed where two nets are compared) lies on
the side claimed, and fails if it doesn't. It is not tested where the results lack what it takes: a
part, a second seed, the length or the width that it speaks of.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

import xarray as xr

from experiments.claims import baseline, cost_surface, errors, examples, initial, studies, training
from experiments.claims.verdict import STATUSES, Claim, Interval, Status, Verdict, decide, interval

CLAIMS: tuple[Claim, ...] = (
    *examples.CLAIMS,
    *training.CLAIMS,
    *cost_surface.CLAIMS,
    *initial.CLAIMS,
    *errors.CLAIMS,
    *studies.CLAIMS,
    *baseline.CLAIMS,
)


class Judgement(NamedTuple):
    """A claim and how it fared."""

    claim: Claim
    verdict: Verdict


def judge(results: xr.Dataset, /) -> list[Judgement]:
    """Every claim tested on ``results``, in the order of ``CLAIMS``."""
    return [Judgement(claim, claim.test(results)) for claim in CLAIMS]


def counts(judgements: Iterable[Judgement], /) -> dict[Status, int]:
    """How many claims hold, fail and are not tested."""
    found = [judgement.verdict.status for judgement in judgements]
    return {status: found.count(status) for status in STATUSES}


def to_json(judgements: Iterable[Judgement], /) -> str:
    """The contents of ``claims.json``: a list of objects, one per claim."""
    entries = [
        {
            "id": claim.id,
            "where": claim.where,
            "figure": claim.figure,
            "paper": claim.paper,
            "sentence": claim.sentence,
            "status": verdict.status,
            "reason": verdict.reason,
            "numbers": dict(verdict.numbers),
            "if_it_fails": claim.if_it_fails,
        }
        for claim, verdict in judgements
    ]
    return json.dumps(entries, indent=2, allow_nan=False) + "\n"


__all__ = [
    "CLAIMS",
    "Claim",
    "Interval",
    "Judgement",
    "Status",
    "Verdict",
    "counts",
    "decide",
    "interval",
    "judge",
    "to_json",
]
