"""From findings to causes: what follows from what, and what is said first."""

from collections.abc import Sequence
from dataclasses import replace

from glorot_jax.diagnosis.judging.finding import NOTE, Finding

# What may follow from a sickness of each kind, where it stands downstream or is of the whole net.
# Kinds come in the order in which they are looked for: a cause before its consequences.
_ALL = ("*",)
CONSEQUENCES: dict[str, tuple[str, ...]] = {
    "nan gradient": _ALL,
    "not finite": _ALL,
    "float16 overflow": _ALL,
    "input scale": (
        *("saturation", "first cost", "exploding forward", "exploding backward"),
        *("vanishing forward", "vanishing backward", "rank collapse", "dead units", "no gradient"),
        *("target scale", "attention one-hot", "flat loss", "inputs all alike"),
    ),
    "inputs all alike": (
        *("rank collapse", "vanishing forward", "vanishing backward", "first cost"),
        "exploding backward",
    ),
    "constant features": ("rank collapse", "vanishing backward", "vanishing forward"),
    "loss of mixed shapes": ("first cost", "target scale", "flat loss"),
    "softmax over one value": ("no gradient", "vanishing backward", "dead units", "softmax twice"),
    "no gradient through a choice": ("no gradient",),
    "router collapsed": ("no gradient", "vanishing backward", "dead units"),
    "softmax twice": ("first cost", "vanishing backward"),
    "sigmoid twice": ("first cost", "vanishing backward"),
    "logits too small": ("first cost", "vanishing backward"),
    "relu on the outputs": ("dead units", "no gradient", "vanishing backward"),
    "zero kernel that stays closed": (
        *("dead units", "no gradient", "vanishing forward", "vanishing backward"),
        *("rank collapse", "units all alike"),
    ),
    "units all alike": ("rank collapse", "dead units", "vanishing backward", "vanishing forward"),
    "exploding forward": (
        *("saturation", "first cost", "attention one-hot", "rank collapse", "dead units"),
        *("exploding backward", "vanishing backward", "exploding over time", "flat loss"),
    ),
    "exploding over time": (
        *("first cost", "exploding forward", "exploding backward", "saturation", "flat loss"),
    ),
    "attention one-hot": ("vanishing backward", "rank collapse"),
    "saturation": ("vanishing backward", "rank collapse", "no gradient", "exploding backward"),
    "dead units": ("no gradient", "vanishing backward", "vanishing forward", "rank collapse"),
    "vanishing forward": ("vanishing backward", "rank collapse", "vanishing over time"),
    "exploding backward": ("saturation", "first cost"),
    "vanishing backward": ("rank collapse",),
    "target scale": ("first cost", "flat loss"),
    "flat loss": ("vanishing backward", "no gradient", "rank collapse", "first cost"),
}


def arrange(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Causes first, each with what follows from it; the worst first among equals, notes last."""
    notes = [finding for finding in findings if finding.severity == NOTE]
    order = list(CONSEQUENCES)
    left = sorted(
        (finding for finding in findings if finding.severity != NOTE),
        key=lambda f: order.index(f.kind) if f.kind in order else len(order),
    )
    causes: list[Finding] = []
    while left:
        cause, *rest = left
        explained = [f for f in rest if _explains(cause, f)]
        left = [f for f in rest if f not in explained]
        worst = min([cause, *explained], key=lambda f: f.rank)
        follows = tuple(f.text for f in explained)
        causes.append(replace(cause, severity=worst.severity, follows=follows))
    causes.sort(key=lambda f: f.rank)
    return (*causes, *notes)


def _explains(cause: Finding, other: Finding) -> bool:
    follows = CONSEQUENCES.get(cause.kind, ())
    return follows == _ALL or other.kind in follows
