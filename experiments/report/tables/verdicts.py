"""The claims as a table, those that are contradicted first."""

from collections.abc import Sequence

from experiments.claims import Claim, Judgement, Verdict
from experiments.report.tables.table import MISSING, Table

STATUS_ORDER = ("contradicted", "undecided", "holds", "not tested")


def in_order(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Judgements in ``STATUS_ORDER``."""
    return sorted(judgements, key=lambda judgement: STATUS_ORDER.index(judgement.verdict.status))


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
