"""Units that stop passing anything on while a net trains: which first, and whether for good."""

from collections.abc import Mapping, Sequence

import numpy as np

from glorot_jax.diagnosis.judging.finding import NOTE, SEVERE, WARNING, Finding, Severity
from glorot_jax.diagnosis.judging.history import (
    Crossing,
    History,
    counted,
    crossings,
    order_in_words,
)
from glorot_jax.diagnosis.judging.rules import steps, units


def saturation(history: History) -> list[Finding]:
    """Of functions that level off on both sides."""
    share = np.where(history.site("two_sided") > 0, history.site("saturated"), np.nan)
    found = crossings(share > units.SATURATED[WARNING])
    if not found:
        return []
    return [
        _finding(
            "saturation",
            history,
            share,
            found,
            units.SATURATED,
            units.SATURATED_SOURCE,
            order_in_words(history, found, ("saturates", "saturate"), "saturated"),
            "Lower the learning rate, normalise what goes into the first of them, or start it with "
            "kernels that keep the variance.",
        )
    ]


def dead(history: History) -> list[Finding]:
    """Units with a slope of 0 for every example of the batch."""
    share = history.site("dead")
    found = crossings(share > units.DEAD[WARNING])
    if not found:
        return []
    text = order_in_words(history, found, ("dies", "die"), "dead")
    if not any(one.back is not None for one in found):
        text += "; none comes back"
    cure = "Lower the learning rate or warm it up, or use a function with a slope on both sides."
    first = next((one for one in found if one.first > 0), None)
    if first is not None:
        text += _jump(history, first) or _large_step(history, first)
    return [
        _finding("dead units", history, share, found, units.DEAD, units.DEAD_SOURCE, text, cure)
    ]


def _jump(history: History, died: Crossing) -> str:
    """The jump of the loss since the last measurement at which the site was alive."""
    ago = history.net("loss_jump_ago")[died.first]
    if not np.isfinite(ago):
        return ""
    return f"; the loss had jumped at update {counted(int(history.updates[died.first] - ago))}"


def _large_step(history: History, died: Crossing) -> str:
    """The largest update that was measured on the way: its own or that of a site before it."""
    step = history.site("step")[: died.first]
    known = np.where(np.isfinite(step), step, 0.0)
    if not known.size or known.max() <= steps.LARGE[WARNING]:
        return ""
    index, site = np.unravel_index(int(np.argmax(known)), known.shape)
    return (
        f"; update {history.at(int(index))} had changed {history.labels[site]} by "
        f"{known[index, site]:.2g} of its norm"
    )


def _finding(
    kind: str,
    history: History,
    share: np.ndarray,
    found: Sequence[Crossing],
    limits: Mapping[Severity, float],
    source: str,
    text: str,
    cure: str,
) -> Finding:
    last = np.array([share[-1, one.site] for one in found])
    worst = float(np.nanmax([np.nanmax(share[one.first :, one.site]) for one in found]))
    severity = WARNING
    if (last > limits[SEVERE]).any():
        severity = SEVERE
    elif all(one.back is not None for one in found):
        severity = NOTE
    return Finding(
        kind,
        severity,
        tuple(history.labels[one.site] for one in found),
        text,
        cure,
        worst,
        limits[SEVERE if severity == SEVERE else WARNING],
        source,
    )
