"""The first update of an optimiser, beside what it changes."""

import numpy as np

from glorot_jax.diagnosis.judging.evidence import Evidence, Leaf
from glorot_jax.diagnosis.judging.finding import SEVERE, WARNING, Finding, named

LARGE = {WARNING: 0.1, SEVERE: 0.5}
LARGE_SOURCE = "of the kernel itself: what was learned or drawn is gone after a few updates"
SMALL = 1e-7
SMALL_SOURCE = "of the kernel itself: ten million updates would change it by its own size"


def first_update(evidence: Evidence) -> list[Finding]:
    """Kernels that the first update changes by too much, or by nothing that matters."""
    kernels = [
        leaf
        for leaf in evidence.leaves
        if leaf.labels and np.isfinite(leaf.step) and leaf.norm > 0 and leaf.gradient > 0
    ]
    if evidence.beginning is not None or not kernels:
        return []
    most = max(kernels, key=lambda leaf: leaf.step)
    if most.step > LARGE[WARNING]:
        return [_too_large(most, kernels)]
    if most.step < SMALL:
        return [_too_small(most, kernels)]
    return []


def _labels(leaves: list[Leaf]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for leaf in leaves for label in leaf.labels))


def _too_large(most: Leaf, kernels: list[Leaf]) -> Finding:
    severity = SEVERE if most.step > LARGE[SEVERE] else WARNING
    large = [leaf for leaf in kernels if leaf.step > LARGE[WARNING]]
    return Finding(
        "update too large",
        severity,
        _labels(sorted(large, key=lambda leaf: -leaf.step)),
        f"the first update changes {most.name} by {most.step:.3g} of its norm "
        f"({len(large)} of {len(kernels)} kernels by more than {LARGE[WARNING]:.0%})",
        f"Divide the learning rate by about {most.step / 1e-2:.2g}, or warm it up.",
        most.step,
        LARGE[severity],
        LARGE_SOURCE,
    )


def _too_small(most: Leaf, kernels: list[Leaf]) -> Finding:
    return Finding(
        "update too small",
        WARNING,
        _labels(kernels),
        f"the first update changes no kernel by more than {most.step:.3g} of its norm "
        f"({named([leaf.name for leaf in kernels])})",
        "Raise the learning rate, or use an optimiser that divides by the gradient's size (Adam).",
        most.step,
        SMALL,
        SMALL_SOURCE,
    )
