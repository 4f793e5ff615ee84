"""Attention that becomes one-hot while a net trains."""

import numpy as np

from glorot_jax.diagnosis.judging.finding import SEVERE, WARNING, Finding
from glorot_jax.diagnosis.judging.history import History, crossings, order_in_words
from glorot_jax.diagnosis.judging.rules import attention

FALLEN = 0.5  # of the entropy at the first measurement: a head that was sharp stays so


def collapse(history: History) -> list[Finding]:
    """Entropy that falls under what a net starts with and learns from.

    A trained head may well be sharp: only the mean over heads, at its lowest limit, is looked at.
    """
    entropy = history.site("attention_entropy")
    low = (entropy < attention.ONE_HOT[SEVERE]) & (entropy < FALLEN * entropy[:1])
    found = crossings(low)
    if not found:
        return []
    text = order_in_words(
        history,
        found,
        ("feeds one-hot attention", "feed one-hot attention"),
        "feeding one-hot attention",
    )
    return [
        Finding(
            "attention collapse",
            SEVERE if any(one.back is None for one in found) else WARNING,
            tuple(history.labels[one.site] for one in found),
            text,
            "Normalise queries and keys, or lower the learning rate of their kernels.",
            float(np.nanmin([np.nanmin(entropy[one.first :, one.site]) for one in found])),
            attention.ONE_HOT[SEVERE],
            attention.ONE_HOT_SOURCE,
        )
    ]
