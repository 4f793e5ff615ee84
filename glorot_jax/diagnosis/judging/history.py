"""What was measured over a run, and when something in it crossed a limit: facts, no opinions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from glorot_jax.diagnosis.judging.finding import named


@dataclass(frozen=True)
class History:
    """A run of one net, measured T times, in the order of the updates.

    ``updates``: [T], how many updates had been done. ``labels``: of the sites. ``arrays``: by the
    name of a statistic [T, site], and [T] under ``net_`` and a name.
    """

    updates: np.ndarray
    labels: tuple[str, ...]
    arrays: Mapping[str, np.ndarray]

    def site(self, name: str) -> np.ndarray:
        """[T, site]; NaN where it wasn't measured."""
        nothing = np.full((len(self.updates), len(self.labels)), np.nan)
        return self.arrays.get(name, nothing)

    def net(self, name: str) -> np.ndarray:
        """[T]; NaN where it wasn't measured."""
        return self.arrays.get(f"net_{name}", np.full(len(self.updates), np.nan))

    def at(self, index: int) -> str:
        """The update of a measurement, as it stands in a sentence."""
        return counted(int(self.updates[index]))


class Crossing(NamedTuple):
    """A site over a limit. ``first``: the measurement from which on; ``back``: the one from which
    on it is below for good, None where it isn't.
    """

    site: int
    first: int
    back: int | None


def crossings(over: np.ndarray) -> list[Crossing]:
    """Of bools [T, site], the sites that are ``over`` twice running; the first one first.

    One measurement alone says nothing: the next is of another batch. Of a run that was measured
    once, that one counts.
    """
    found = []
    for site, mine in enumerate(over.T):
        lasting = mine & np.append(mine[1:], len(mine) == 1)
        if lasting.any():
            last = int(np.flatnonzero(mine)[-1])
            back = last + 1 if last + 1 < len(mine) else None
            found.append(Crossing(site, int(np.argmax(lasting)), back))
    return sorted(found, key=lambda one: (one.first, one.site))


MOST_NAMED = 4


def order_in_words(
    history: History, found: Sequence[Crossing], verbs: tuple[str, str], state: str
) -> str:
    """Which site went first, when; which followed; which came back. ``verbs``: of one, of more."""
    parts = []
    groups = [
        (first, [one for one in found if one.first == first])
        for first in sorted({one.first for one in found})
    ]
    for place, (first, sites) in enumerate(groups[:MOST_NAMED]):
        names, more = _names(history, sites), len(sites) > 1
        if first == 0:
            parts.append(f"{names} {'are' if more else 'is'} {state} from the first measurement on")
        elif not parts:
            parts.append(f"{names} {verbs[more]} from update {history.at(first)} on")
        else:
            follow = ("follows", "follow")[more] + " " if place == 1 else ""
            parts.append(f"{names} {follow}at {history.at(first)}")
    if rest := groups[MOST_NAMED:]:
        count = sum(len(sites) for _, sites in rest)
        parts.append(f"{count} more by {history.at(rest[-1][0])}")
    back = [one for one in found if one.back is not None]
    parts += [
        f"{history.labels[one.site]} comes back at {history.at(one.back or 0)}"
        for one in back[:MOST_NAMED]
    ]
    return "; ".join(parts)


def _names(history: History, found: Sequence[Crossing]) -> str:
    return named([history.labels[one.site] for one in found])


def counted(update: int) -> str:
    """A number of updates, in groups of three digits.

    >>> counted(12000)
    '12 000'
    """
    return f"{update:,}".replace(",", " ")
