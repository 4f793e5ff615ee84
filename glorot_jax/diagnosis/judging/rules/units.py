"""Units that pass nothing on: saturated on both sides, or dead for every example."""

from collections.abc import Mapping

import numpy as np

from glorot_jax.diagnosis.judging.evidence import Evidence
from glorot_jax.diagnosis.judging.finding import SEVERE, WARNING, Finding, Severity

SATURATED = {WARNING: 0.3, SEVERE: 0.6}
SATURATED_SOURCE = "these units pass on less than 5% of the gradient that others do"
DEAD = {WARNING: 0.7, SEVERE: 0.9}
DEAD_SOURCE = "a dead unit gets no gradient from any example"


def saturation(evidence: Evidence) -> list[Finding]:
    """Of functions that level off on both sides; what relu doesn't let through is no saturation."""
    if evidence.beginning is not None:
        return []
    share = np.where(evidence.two_sided, evidence.rows["saturated"], np.nan)
    return _shares(
        evidence,
        share,
        "saturation",
        "saturated",
        SATURATED,
        SATURATED_SOURCE,
        "Scale the kernel or its input down, or look for biases that are too large.",
    )


def dead(evidence: Evidence) -> list[Finding]:
    """Over all positions that share a kernel, and above what chance gives for few examples."""
    if evidence.beginning is not None:
        return []
    return _shares(
        evidence,
        evidence.rows["dead"],
        "dead units",
        "dead",
        DEAD,
        DEAD_SOURCE,
        "Raise their biases, centre their inputs, or use a function with a slope on both sides.",
    )


def _shares(
    evidence: Evidence,
    share: np.ndarray,
    kind: str,
    word: str,
    limits: Mapping[Severity, float],
    source: str,
    cure: str,
) -> list[Finding]:
    over = np.flatnonzero(share > limits[WARNING])
    if not over.size:
        return []
    worst = over[np.argmax(share[over])]
    severe = share[worst] > limits[SEVERE]
    # The first in the program is where it begins.
    first = next(i for i in over if share[i] > limits[SEVERE if severe else WARNING])
    labels = [evidence.labels[first], *(evidence.labels[i] for i in over if i != first)]
    more = f", and more than {limits[WARNING]:.0%} of {len(over)} sites" if len(over) > 1 else ""
    return [
        Finding(
            kind,
            SEVERE if severe else WARNING,
            tuple(labels),
            f"{share[first]:.0%} of the units of {labels[0]} are {word}{more}",
            cure,
            float(share[first]),
            limits[SEVERE if severe else WARNING],
            source,
        )
    ]
