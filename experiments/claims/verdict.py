"""What a claim is, what judging one gives, and the one rule by which numbers become a verdict."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy.special import stdtrit

from experiments.exhibits import EXHIBITS
from experiments.results.queries import NotMeasured
from experiments.results.schema import find_group
from glorot_jax.confidence import CONFIDENCE, Interval, spread_of_mean

FEWEST_SEEDS = 2  # one value has no spread, so no interval

Status = Literal["holds", "contradicted", "undecided", "not tested"]
STATUSES: tuple[Status, ...] = ("holds", "contradicted", "undecided", "not tested")
MOST_SEEDS = 1000  # beyond which "more seeds" is no advice
Numbers = Mapping[str, object]


@dataclass(frozen=True)
class Verdict:
    """One claim judged on one set of results.

    Attributes:
      numbers: what can be written as JSON; an estimate is {"mean", "low", "high", "n"}, n seeds.
      reason: one sentence: the numbers that decide, or what the results lack.
      p: of the test that the verdict rests on; None where it rests on no interval. The least p for
        which the interval of confidence 1 - p still decides as it does: of the bound next to the
        mean, two-sided.
    """

    status: Status
    numbers: Numbers
    reason: str
    p: float | None = None


@dataclass(frozen=True)
class Claim:
    """One thing that the paper asserts, or that we expected.

    Attributes:
      where: in the paper, or in a question of our own.
      paper: what it says, retold; what we expected where the claim is ours.
      sentence: what exactly is tested.
      figure: the key of the figure or table that shows it.
      test: a pure predicate on the whole results.
      if_it_fails: our best explanation and what would decide it.
      ours: whether it is ours and not the paper's, with which it is never counted.

    Raises:
      ValueError: ``figure`` is not one of ``EXHIBITS``.
    """

    id: str
    where: str
    paper: str
    sentence: str
    figure: str
    test: Callable[[xr.DataTree], Verdict]
    if_it_fails: str
    ours: bool = False

    def __post_init__(self) -> None:
        if self.figure not in EXHIBITS:
            raise ValueError(f"claim {self.id}: figure {self.figure!r} is not in EXHIBITS")


class NotTested(Exception):
    """The results can't decide the claim: why, and whatever numbers there are."""

    def __init__(self, reason: str, numbers: Numbers | None = None):
        super().__init__(reason)
        self.numbers = dict(numbers or {})


def interval(values: np.ndarray, /, *, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval of the mean of ``values`` [seed], every one of which must be known.

    Of [seed, example], examples that the seeds share, it holds what sampling these does too.

    Raises:
      NotTested: there are fewer than two seeds, or a seed has no finite value.
    """
    by_seed = each_seed(values)
    seeds = len(by_seed)
    if seeds < FEWEST_SEEDS:
        raise NotTested(f"{seeds} seed(s) only; an interval needs at least {FEWEST_SEEDS}")
    lost = int(np.sum(~np.isfinite(by_seed)))
    if lost:
        raise NotTested(f"{lost} of {seeds} seeds have no finite value")
    half = spread_of_mean(values).half(confidence=confidence)
    return Interval(np.asarray(by_seed.mean()), np.asarray(half))


def each_seed(values: np.ndarray, /) -> np.ndarray:
    """One value per seed of [seed], or [seed, example]."""
    values = np.asarray(values, np.float64)
    return values if values.ndim == 1 else values.mean(axis=1)


def decide(
    values: np.ndarray,
    /,
    *,
    what: str,
    above: float = -math.inf,
    below: float = math.inf,
    confidence: float = CONFIDENCE,
    numbers: Numbers | None = None,
) -> Verdict:
    """What the interval of ``values`` [seed] says of a mean in (``above``, ``below``).

    They can be [seed, example] too: see ``interval``.

    The claim holds if the interval lies inside, is contradicted if it lies outside, and is
    undecided where it reaches over a bound; the reason then says about how many seeds of the
    spread seen would decide.

    Args:
      what: names the quantity in the reason and in the numbers.
      confidence: of the interval; 1 - p where the claim is of a difference at some p.
      numbers: what else the verdict should show; an array is taken as one value per seed.
    """
    mean = interval(values, confidence=confidence)
    shown = {what: _estimate(mean, values), "claimed above": above, "claimed below": below}
    shown |= {name: _shown(value) for name, value in (numbers or {}).items()}
    side = " and ".join(
        f"{word} {bound:.3g}"
        for word, bound in (("above", above), ("below", below))
        if math.isfinite(bound)
    )
    measured = (
        f"{what}: {mean.mean:.3g}, {100 * confidence:.4g}% interval {mean.low:.3g} to "
        f"{mean.high:.3g} over {len(values)} seeds"
    )
    distance = min(abs(float(mean.mean) - bound) for bound in (above, below))
    spread = spread_of_mean(values)
    p = spread.p(distance)
    if mean.low > above and mean.high < below:
        return Verdict("holds", clean(shown), f"{measured}; {side}, as claimed", p)
    if mean.high < above or mean.low > below:
        return Verdict("contradicted", clean(shown), f"{measured}; contradicted: claimed {side}", p)
    needed = seeds_needed(
        spread.from_seeds * len(values),
        distance,
        confidence=confidence,
        remaining=spread.from_examples,
    )
    shown["seeds needed"] = needed
    more = f"about {needed} seeds" if needed else f"more than {MOST_SEEDS} seeds"
    if not needed and spread.from_examples:
        more += " or a larger test set"
    return Verdict(
        "undecided", clean(shown), f"{measured}; undecided: claimed {side}; needs {more}", p
    )


def decide_all(
    differences: Mapping[str, np.ndarray], /, *, what: str, numbers: Numbers | None = None
) -> Verdict:
    """Whether every one of ``differences``, each [seed], is above 0.

    It holds if each by itself does: an intersection-union test, which needs no correction, and
    which, unlike the least of noisy differences, isn't biased against the claim. It is contradicted
    if one of k is, at a confidence of 1 - 0.05 / k. The one that decides is named: the one with the
    least lower end.
    """
    each = {
        name: decide(values, what=f"{what}, {name}", above=0.0)
        for name, values in differences.items()
    }
    strict = 1 - (1 - CONFIDENCE) / len(differences)
    against = [
        decide(values, what=f"{what}, {name}", above=0.0, confidence=strict)
        for name, values in differences.items()
    ]
    contradicted = [verdict for verdict in against if verdict.status == "contradicted"]
    weakest = min(differences, key=lambda name: float(interval(differences[name]).low))
    deciding = contradicted[0] if contradicted else each[weakest]
    status = deciding.status
    if status == "contradicted" and not contradicted:
        status = "undecided"
    shown = {name: _shown(value) for name, value in (numbers or {}).items()}
    return Verdict(status, {**deciding.numbers, **clean(shown)}, deciding.reason, deciding.p)


def seeds_needed(
    variance: float, distance: float, /, *, confidence: float, remaining: float = 0.0
) -> int | None:
    """Fewest seeds whose t interval is narrower than ``distance``, the mean's from a bound.

    None where ``MOST_SEEDS`` are too few.

    Args:
      variance: of one seed.
      remaining: the part of the mean's variance that more seeds don't lessen.
    """
    counts = np.arange(FEWEST_SEEDS, MOST_SEEDS + 1)
    error = np.sqrt(variance / counts + remaining)
    enough = counts[stdtrit(counts - 1, (1 + confidence) / 2) * error < distance]
    return int(enough[0]) if enough.size else None


def on(
    name: str, test: Callable[..., Verdict], /, *, stand_in: str | None = None, **options: object
) -> Callable[[xr.DataTree], Verdict]:
    """A predicate on whole results out of one on the group ``name``.

    Args:
      stand_in: a group whose numbers are shown where ``name`` is missing; it decides nothing.
      options: passed on to ``test``.
    """

    def judge_group(results: xr.DataTree) -> Verdict:
        group = find_group(results, name)
        if group is not None:
            return _tested(test, group, options)
        substitute = None if stand_in is None else find_group(results, stand_in)
        if stand_in is None or substitute is None:
            return Verdict("not tested", {}, f"the results hold no part '{name}'")
        verdict = _tested(test, substitute, options)
        reason = f"only the stand-in '{stand_in}' was run, not '{name}'; on it: {verdict.reason}"
        return Verdict("not tested", {stand_in: verdict.numbers}, reason)

    return judge_group


def clean(value: Any, /) -> Any:
    """``value`` as JSON can hold it: plain containers and numbers, None for what isn't finite."""
    if isinstance(value, Mapping):
        return {str(key): clean(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [clean(entry) for entry in value]
    if value is None:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return str(value)


def _tested(
    test: Callable[..., Verdict], group: xr.Dataset, options: Mapping[str, object]
) -> Verdict:
    try:
        return test(group, **options)
    except NotMeasured as why:
        return Verdict("not tested", {}, str(why))
    except NotTested as why:
        numbers = {name: _shown(value) for name, value in why.numbers.items()}
        return Verdict("not tested", clean(numbers), str(why))


def _estimate(mean: Interval, values: np.ndarray) -> dict[str, object]:
    return {
        "mean": float(mean.mean),
        "low": float(mean.low),
        "high": float(mean.high),
        "n": len(values),
    }


def _shown(value: object) -> object:
    """An array, one value per seed, as an estimate; where there is none, as it is."""
    if not isinstance(value, np.ndarray):
        return value
    try:
        return _estimate(interval(value), value)
    except NotTested:
        return value
