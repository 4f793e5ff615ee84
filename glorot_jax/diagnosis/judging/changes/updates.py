"""What updates change of the kernels, and how that drifts."""

import numpy as np

from glorot_jax.diagnosis.judging.finding import NOTE, SEVERE, WARNING, Finding, Severity, named
from glorot_jax.diagnosis.judging.history import History, crossings, order_in_words
from glorot_jax.diagnosis.judging.rules import precision

LEAST = 8  # measurements, from which on there is a first and a last quarter
DRIFT = 4.0
DRIFT_SOURCE = (
    "times, and the relative step the other way: where a norm follows, the rate that counts goes "
    "by one over the kernel's norm squared"
)
SUDDEN = 0.5  # of the whole change, between two measurements
DONE = 0.01  # of the first cost: a run that is there has nothing to move for
SMALL_STEP = 1e-6  # of the norm; a schedule that ends at 0 rounds everything away


def drift(history: History) -> list[Finding]:
    """Kernels that grow or shrink so that the same learning rate changes them less or more.

    A schedule makes steps smaller and leaves the kernels' norms as they are: that is no drift. Nor
    is one update that went too far.
    """
    norm, step = history.site("parameter_norm"), history.site("step")
    if len(history.updates) < LEAST:
        return []
    grown, faster = (_last_over_first(values) for values in (norm, step))
    with np.errstate(invalid="ignore"):
        slower = (grown > DRIFT) & (faster < 1 / DRIFT)
        drifted = slower | ((grown < 1 / DRIFT) & (faster > DRIFT))
        drifted &= _largest_jump(norm) < SUDDEN * np.abs(np.log(grown))
    if not drifted.any():
        return []
    worst = int(np.argmax(np.where(drifted, np.abs(np.log(grown)), -1)))
    verb = "grows" if grown[worst] > 1 else "shrinks"
    ratio = max(grown[worst], 1 / grown[worst])
    labels = [history.labels[site] for site in np.flatnonzero(drifted)]
    return [
        Finding(
            "learning rate drift",
            WARNING,
            tuple(sorted(labels, key=lambda label: label != history.labels[worst])),
            f"the norm of {history.labels[worst]} {verb} {ratio:.3g} times over the run, and an "
            f"update that changed {_middle(step, worst, 0):.2g} of it changes "
            f"{_middle(step, worst, -1):.2g} ({named(labels)})",
            "Add weight decay, or normalise the kernel."
            if verb == "grows"
            else "Lower the weight decay, or the learning rate with it.",
            ratio,
            DRIFT,
            DRIFT_SOURCE,
        )
    ]


def _quarter(count: int, which: int) -> slice:
    size = count // 4
    return slice(size) if which == 0 else slice(count - size, None)


def _largest_jump(norm: np.ndarray) -> np.ndarray:
    """[site], the largest change of a norm's logarithm between two measurements."""
    known = np.where(norm > 0, norm, np.nan)
    return np.max(np.abs(np.diff(np.log(known), axis=0)), axis=0)


def _middle(values: np.ndarray, site: int, which: int) -> float:
    return float(np.nanmedian(values[_quarter(len(values), which), site]))


def _last_over_first(values: np.ndarray) -> np.ndarray:
    """[site], of medians over the quarters; NaN where one isn't known or is 0."""
    medians = [np.median(values[_quarter(len(values), which)], axis=0) for which in (0, -1)]
    known = (medians[0] > 0) & (medians[1] > 0)
    return np.where(known, medians[1] / np.where(known, medians[0], 1.0), np.nan)


def rounded_away(history: History) -> list[Finding]:
    """Entries that an update asks to change and that stay as they are, in their type."""
    unmoved, step = history.site("unmoved"), history.site("step")
    found = crossings((unmoved > precision.UNMOVED[SEVERE]) & (step > SMALL_STEP))
    if not found:
        return []
    return [
        Finding(
            "updates rounded away",
            _severity(history, for_good=any(one.back is None for one in found)),
            tuple(history.labels[one.site] for one in found),
            order_in_words(
                history,
                found,
                ("loses most of its update", "lose most of their update"),
                "losing most of its update",
            ),
            "Keep the parameters in float32 and compute in the lower precision; where they are "
            "float32, an early step was so large that Adam's are tiny since: lower the rate.",
            float(np.nanmax([np.nanmax(unmoved[one.first :, one.site]) for one in found])),
            precision.UNMOVED[SEVERE],
            precision.UNMOVED_SOURCE,
        )
    ]


def _severity(history: History, *, for_good: bool) -> Severity:
    cost = history.net("loss")
    if cost[-1] < DONE * cost[0]:
        return NOTE
    return SEVERE if for_good else WARNING
