"""What can go wrong over a run, one file a kind: each rule takes a history and gives findings."""

from collections.abc import Callable

from glorot_jax.diagnosis.judging.changes import attention, cost, units, updates
from glorot_jax.diagnosis.judging.finding import Finding
from glorot_jax.diagnosis.judging.history import History

CHANGES: tuple[Callable[[History], list[Finding]], ...] = (
    cost.not_finite,
    cost.spikes,
    cost.plateau,
    units.saturation,
    units.dead,
    attention.collapse,
    updates.drift,
    updates.rounded_away,
)


def judge_run(history: History) -> tuple[Finding, ...]:
    """Every finding, most severe first."""
    found = [finding for rule in CHANGES for finding in rule(history)]
    return tuple(sorted(found, key=lambda finding: finding.rank))
