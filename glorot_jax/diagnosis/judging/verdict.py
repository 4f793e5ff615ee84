"""The verdict on a model: each net judged by itself, then what is said of all."""

from collections.abc import Sequence
from dataclasses import replace

from glorot_jax.diagnosis.judging.causes import arrange
from glorot_jax.diagnosis.judging.evidence import Evidence
from glorot_jax.diagnosis.judging.finding import Finding
from glorot_jax.diagnosis.judging.rules import RULES
from glorot_jax.diagnosis.judging.seen import on_what_is_seen


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """What is wrong with one net, causes first."""
    findings = [finding for rule in RULES for finding in rule(evidence)]
    return arrange(on_what_is_seen(findings, evidence))


def judge_all(nets: Sequence[Evidence]) -> tuple[Finding, ...]:
    """What is wrong with any of several nets, and with how many of them."""
    said = [judge(evidence) for evidence in nets]
    if len(nets) == 1:
        return said[0]
    merged: dict[str, list[tuple[int, Finding]]] = {}
    for seed, findings in enumerate(said):
        for finding in findings:
            merged.setdefault(finding.kind, []).append((seed, finding))
    found = [_of_several(cases, len(nets)) for cases in merged.values()]
    return tuple(sorted(found, key=lambda finding: finding.rank))


def _of_several(cases: list[tuple[int, Finding]], count: int) -> Finding:
    _, worst = min(cases, key=lambda case: case[1].rank)
    seeds = sorted({seed for seed, _ in cases})
    if len(seeds) == count:
        return replace(worst, text=f"{worst.text}; so in all {count} nets")
    which = ", ".join(map(str, seeds))
    share = f"in {len(seeds)} of {count} nets ({'seed' if len(seeds) == 1 else 'seeds'} {which})"
    return replace(worst, text=f"{share}: {worst.text}")
