"""Softmaxes inside the model: one-hot at the start, or over a single value."""

import numpy as np

from glorot_jax.diagnosis.judging.evidence import Evidence
from glorot_jax.diagnosis.judging.finding import SEVERE, WARNING, Finding

ONE_HOT = {WARNING: 0.3, SEVERE: 0.15}
ONE_HOT_SOURCE = (
    "of ln n: with unit queries and keys it is 0.8, and a one-hot row passes no gradient"
)


def softmaxes(evidence: Evidence) -> list[Finding]:
    """Entropy against ln of the entries that aren't masked."""
    if evidence.beginning is not None:
        return []
    return [*_single(evidence), *_one_hot(evidence), *_collapsed(evidence)]


def _single(evidence: Evidence) -> list[Finding]:
    single = [softmax for softmax in evidence.softmaxes if softmax.size == 1]
    if not single:
        return []
    output = any(softmax.role == "output" for softmax in single)
    return [
        Finding(
            "softmax over one value",
            SEVERE,
            single[0].labels,
            "a softmax is taken over one value only: it is always 1 and passes no gradient"
            + (", and the model ends in it" if output else ""),
            "Take it over another axis, or use a sigmoid for a single value.",
            1.0,
            2.0,
            "entries of a row",
        )
    ]


def _one_hot(evidence: Evidence) -> list[Finding]:
    looked_at = [s for s in evidence.softmaxes if s.role == "attention" and np.isfinite(s.entropy)]
    low = [s for s in looked_at if s.entropy < ONE_HOT[WARNING]]
    if not low:
        return []
    worst = min(low, key=lambda s: s.entropy)
    severe = worst.entropy < ONE_HOT[SEVERE]
    labels = tuple(dict.fromkeys(label for s in low for label in s.labels))
    return [
        Finding(
            "attention one-hot",
            SEVERE if severe else WARNING,
            labels,
            f"the attention fed by {' and '.join(worst.labels[:2]) or 'the scores'} has an "
            f"entropy of {worst.entropy:.2g} of ln n: each token sees one other, and the softmax "
            f"passes hardly any gradient; the largest score lies {worst.spread:.3g} above the mean "
            f"({len(low)} of {len(looked_at)} attentions)",
            "Divide the scores by sqrt(d), and draw the query and key kernels smaller; or "
            "normalise queries and keys.",
            worst.entropy,
            ONE_HOT[SEVERE if severe else WARNING],
            ONE_HOT_SOURCE,
        )
    ]


LOAD = 0.95
LOAD_SOURCE = "of all examples go one way, and the other ways never learn"


def _collapsed(evidence: Evidence) -> list[Finding]:
    """A router that sends all examples to one expert."""
    gates = [s for s in evidence.softmaxes if s.role == "gate" and s.size > 1 and s.load > LOAD]
    if not gates:
        return []
    worst = max(gates, key=lambda s: s.load)
    return [
        Finding(
            "router collapsed",
            SEVERE,
            worst.labels,
            f"the softmax fed by {' and '.join(worst.labels[:2]) or 'its logits'} gives "
            f"{worst.load:.0%} of all weight to one of {worst.size} entries, whatever the example: "
            "the other experts get no gradient, and the router hardly any",
            "Draw the router's kernel smaller, centre its input, or add a loss that balances the "
            "load.",
            worst.load,
            LOAD,
            LOAD_SOURCE,
        )
    ]
