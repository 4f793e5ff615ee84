"""The cost over a run: where it stops being finite, spikes, stands still."""

from typing import NamedTuple

import numpy as np

from glorot_jax.diagnosis.judging.finding import NOTE, SEVERE, WARNING, Finding
from glorot_jax.diagnosis.judging.history import History, counted

SPIKE = 3.0
SPIKE_SOURCE = "times the median of the measurements before, 8 at most"
WINDOW, LEAST_BEFORE = 8, 3
OF_FIRST = 0.1  # of the first cost: far below it, a cost may well treble
BACK = 1.5  # times what it was before
MOVED = 2.0  # times, or one over it: what a site's statistic must have changed by
MOVING = {"s_std": "std of s", "ds_norm": "|dC/ds|", "step": "|update|/|w|"}
PLATEAU = 0.3  # of the run
STILL = 0.02  # of the cost, by which it falls from the first to the last third of a plateau
BAND = 0.05  # of its median, that it stays within on either side
LEARNED = {WARNING: 0.9, NOTE: 0.8}  # of the first cost; below that, a run may well be done
POINTS = 60


def not_finite(history: History) -> list[Finding]:
    """The first measurement of a cost that isn't finite."""
    wrong = ~np.isfinite(history.net("loss"))
    if "net_loss" not in history.arrays or not wrong.any():
        return []
    first = int(np.argmax(wrong))
    before = ""
    if first:
        index, last = first - 1, history.at(first - 1)
        before = f"; it was {history.net('loss')[index]:.3g} at {last}"
        before += _moved(history, index, "there")
    sites = [
        label
        for label, was, now in zip(
            history.labels,
            history.site("s_std")[max(first - 1, 0)],
            history.site("s_std")[first],
            strict=True,
        )
        if not np.isfinite(now) and (np.isfinite(was) or first == 0)
    ]
    seen = f"; the first site that isn't finite either is {sites[0]}" if sites else ""
    return [
        Finding(
            "not finite",
            SEVERE,
            tuple(sites),
            f"the loss is not finite from update {history.at(first)} on{before}{seen}",
            "Lower the learning rate or clip the gradient; gj.diagnose at the last finite "
            "parameters names the equation.",
        )
    ]


class _Spike(NamedTuple):
    """``shown``: the measurement that shows it; ``update``: where it begins; ``size``: its top."""

    shown: int
    update: int
    size: float
    usual: float
    back: int | None


def spikes(history: History) -> list[Finding]:
    """Costs far above those before, with the sites that had moved by then."""
    found = _spikes(history)
    if not found:
        return []
    worst = max(found, key=lambda one: one.size / one.usual)
    index, when = _last_look(history, worst.update)
    sites = _movers(history, index)
    back = "it isn't back" if worst.back is None else f"it is back by {history.at(worst.back)}"
    more = [counted(one.update) for one in found if one is not worst]
    others = f"; others at {', '.join(more[:5])}" if more else ""
    return [
        Finding(
            "loss spike",
            WARNING if any(one.back is None for one in found) else NOTE,
            tuple(dict.fromkeys(history.labels[site] for _, _, site in sites)),
            f"the loss jumps at update {counted(worst.update)} and reaches {worst.size:.3g}, "
            f"from {worst.usual:.3g}; {back}{_moved(history, index, when)}{others}",
            f"Look at the batch of update {counted(worst.update)}; clip the gradient's norm, or "
            "lower the learning rate.",
            worst.size / worst.usual,
            SPIKE,
            SPIKE_SOURCE,
        )
    ]


def _spikes(history: History) -> list[_Spike]:
    series = history.net("loss_max")
    if not np.isfinite(series).any():
        series = history.net("loss")
    usual_of = history.net("loss_mean")
    usual_of = np.where(np.isfinite(usual_of), usual_of, history.net("loss"))
    ago = history.net("loss_jump_ago")
    ago = np.nan_to_num(np.where(np.isfinite(ago), ago, history.net("loss_max_ago")))
    found: list[_Spike] = []
    index = LEAST_BEFORE
    while index < len(series):
        before = series[max(0, index - WINDOW) : index]
        before = before[np.isfinite(before)]
        usual = float(np.median(before)) if before.size >= LEAST_BEFORE else np.inf
        high = series[index] > SPIKE * usual and series[index] > OF_FIRST * history.net("loss")[0]
        if high:
            mean = float(np.nanmedian(usual_of[max(0, index - WINDOW) : index]))
            after = np.flatnonzero(usual_of[index + 1 :] < BACK * mean)
            back = index + 1 + int(after[0]) if after.size else None
            update = int(history.updates[index] - ago[index])
            found.append(_Spike(index, update, float(series[index]), usual, back))
            index = len(series) if back is None else back
        index += 1
    return found


def _last_look(history: History, update: int) -> tuple[int, str]:
    """The measurement before an update, in words; or that of the update, where only it shows."""
    before = int(np.searchsorted(history.updates, update, side="left")) - 1
    same = before + 1 < len(history.updates) and history.updates[before + 1] == update
    if same and not _movers(history, before) and _movers(history, before + 1):
        return before + 1, "with it"
    return before, f"before it, at {history.at(before)},"


def _movers(history: History, index: int) -> list[tuple[float, str, int]]:
    """(factor, statistic, site) of what had moved at measurement ``index``, the most first."""
    if index < LEAST_BEFORE:
        return []
    found = []
    for name in MOVING:
        values = history.site(name)
        before = values[max(0, index - WINDOW) : index]
        for site in range(len(history.labels)):
            mine = before[:, site][np.isfinite(before[:, site])]
            now = values[index, site]
            if mine.size >= LEAST_BEFORE and np.median(mine) > 0 and np.isfinite(now) and now > 0:
                factor = float(now / np.median(mine))
                if factor > MOVED or factor < 1 / MOVED:
                    found.append((factor, name, site))
    return sorted(found, key=lambda one: -abs(np.log(one[0])))


def _moved(history: History, index: int, when: str) -> str:
    found = _movers(history, index)
    if not found:
        return f"; {when} no site had moved" if index >= LEAST_BEFORE else ""
    said: list[str] = []
    named: set[int] = set()
    for factor, name, site in found:
        if site not in named and len(named) < 3:
            named.add(site)
            said.append(f"{MOVING[name]} of {history.labels[site]} x{factor:.2g}")
    return f"; {when} had moved: {', '.join(said)}"


def plateau(history: History) -> list[Finding]:
    """The longest stretch in which a cost that is still high hardly falls."""
    cost = history.net("loss_mean")
    cost = np.where(np.isfinite(cost), cost, history.net("loss"))
    first = history.net("loss")[0]
    known = np.flatnonzero(np.isfinite(cost))
    if len(known) < LEAST_BEFORE * 4 or not np.isfinite(first):
        return []
    blocks = np.array_split(known, min(POINTS, len(known)))
    level = np.array([np.median(cost[block]) for block in blocks])
    start, stop = _longest_still(level)
    height = float(np.median(level[start:stop])) if stop > start else 0.0
    if stop - start < PLATEAU * len(level) or height < LEARNED[NOTE] * first:
        return []
    begin, end = int(blocks[start][0]), int(blocks[stop - 1][-1])
    falls = stop < len(level) and level[-1] < (1 - OF_FIRST) * height
    severity = WARNING if height > LEARNED[WARNING] * first and not falls else NOTE
    way = f"then falls to {level[-1]:.3g}" if falls else f"the first was {first:.3g}"
    return [
        Finding(
            "plateau",
            severity,
            (),
            f"the loss stays near {height:.3g} from update {history.at(begin)} to "
            f"{history.at(end)}; {way}",
            "" if falls else "Raise the learning rate, or look at which site passes no gradient.",
            (stop - start) / len(level),
            PLATEAU,
            "of the run",
        )
    ]


def _longest_still(level: np.ndarray) -> tuple[int, int]:
    """The longest stretch of which the last third is hardly below the first."""
    best = (0, 0)
    for start in range(len(level)):
        for stop in range(len(level), start + max(3, best[1] - best[0]), -1):
            third = max((stop - start) // 3, 1)
            early = np.median(level[start : start + third])
            late = np.median(level[stop - third : stop])
            middle = np.median(level[start:stop])
            away = np.max(np.abs(level[start:stop] - middle))
            if early - late < STILL * early and away < BAND * middle:
                best = (start, stop)
                break
    return best
