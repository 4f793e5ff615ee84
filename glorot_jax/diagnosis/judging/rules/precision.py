"""Numbers kept in too few bits."""

import numpy as np

from glorot_jax.diagnosis.judging.evidence import Evidence, Leaf
from glorot_jax.diagnosis.judging.finding import SEVERE, WARNING, Finding, named

_BITS = {"bfloat16": 2.0**-9, "float16": 2.0**-12, "float8_e4m3fn": 2.0**-5, "float8_e5m2": 2.0**-4}


UNMOVED = {WARNING: 0.1, SEVERE: 0.5}
UNMOVED_SOURCE = "entries that an update asks to change"


def low_precision(evidence: Evidence) -> list[Finding]:
    """Parameters whose updates are rounded away; by their type alone where none is known."""
    if evidence.beginning is not None:
        return []
    low = [leaf for leaf in evidence.leaves if leaf.dtype in _BITS and leaf.gradient > 0]
    if not low:
        return []
    stuck = [leaf for leaf in low if leaf.unmoved > UNMOVED[WARNING]]
    if stuck:
        return [_stuck(max(stuck, key=lambda leaf: leaf.unmoved), stuck)]
    return [] if np.isfinite([leaf.unmoved for leaf in low]).any() else [_may_be_stuck(low)]


_CURE = "Keep the parameters in float32 and compute in the lower precision."


def _stuck(most: Leaf, leaves: list[Leaf]) -> Finding:
    severity = SEVERE if most.unmoved > UNMOVED[SEVERE] else WARNING
    return Finding(
        f"{most.dtype} parameters",
        severity,
        tuple(label for leaf in leaves for label in leaf.labels or (leaf.name,)),
        f"{most.unmoved:.0%} of the entries of {most.name} stay as they are: in {most.dtype} their "
        f"update is rounded away ({len(leaves)} parameters)",
        _CURE,
        most.unmoved,
        UNMOVED[severity],
        UNMOVED_SOURCE,
    )


def _may_be_stuck(leaves: list[Leaf]) -> Finding:
    dtype = leaves[0].dtype
    return Finding(
        f"{dtype} parameters",
        WARNING,
        tuple(label for leaf in leaves for label in leaf.labels or (leaf.name,)),
        f"{named([leaf.name for leaf in leaves])} are kept in {dtype}: an update smaller than "
        f"{_BITS[dtype]:.1g} of a weight is rounded away, and most updates are smaller",
        f"{_CURE} With optimizer= the share of entries that don't move is measured.",
        _BITS[dtype],
        0.0,
        "half a step of its last bit",
    )
