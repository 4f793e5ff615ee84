"""The claims as a table, those against the paper first."""

from collections.abc import Sequence

from experiments.claims import Claim, Judgement, Verdict
from experiments.report.states import ORDER
from experiments.report.tables.table import MISSING, Table


def in_order(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Judgements with the claims against the paper first, those not tested last."""
    return sorted(judgements, key=lambda judgement: ORDER.index(judgement.verdict.status))


def claims(judgements: Sequence[Judgement]) -> Table:
    """What the paper says beside what was found, as ``in_order`` sorts it."""
    return Table(
        "claims",
        "Claims of the paper",
        ("status", "where", "the paper", "tested", "found", "figure"),
        tuple(_row(judgement.claim, judgement.verdict) for judgement in in_order(judgements)),
    )


def _row(claim: Claim, verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.status,
        claim.where,
        claim.paper,
        claim.sentence,
        verdict.reason,
        claim.figure or MISSING,
    )
