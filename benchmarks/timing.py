"""Interleaved timing: every contender runs once a round, so that a noisy machine hits all alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence


class Times:
    """Seconds per call of each contender, round by round."""

    def __init__(self, seconds: Mapping[str, Sequence[float]]):
        self.seconds = {name: list(rounds) for name, rounds in seconds.items()}

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def best(self, name: str) -> float:
        return min(self.seconds[name])

    def ratio(self, name: str, other: str) -> float:
        """How many times as fast ``name`` is as ``other``: the median of the rounds' ratios."""
        pairs = zip(self.seconds[other], self.seconds[name], strict=True)
        return statistics.median(theirs / ours for theirs, ours in pairs)


def interleaved(
    contenders: Mapping[str, Callable[[int], float]], *, repeats: int, seconds: float
) -> Times:
    """Times ``contenders`` in turn, ``repeats`` rounds of about ``seconds`` for each.

    A contender is a function of the number of calls to make, that returns the seconds they took.
    It is called once beforehand, to warm up and to choose the number of calls.
    """
    calls = {}
    for name, run in contenders.items():
        run(1)
        calls[name] = max(1, round(seconds / max(run(1), 1e-6)))
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            taken[name].append(run(calls[name]) / calls[name])
            time.sleep(0.05)  # lets a thread pool that waits by spinning go to sleep
    return Times(taken)


def share(times: Times, whole: str, part_left_out: str) -> float:
    """The share of ``whole`` that ``part_left_out`` saves: the median of the rounds' shares."""
    return 1 - times.ratio(whole, part_left_out)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
