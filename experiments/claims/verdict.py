"""What a claim is, what judging one gives, and the one rule by which numbers become a verdict."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from experiments.results.schema import part

CONFIDENCE = 0.95
FEWEST_SEEDS = 2  # one value has no spread, so no interval

Status = Literal["holds", "fails", "not tested"]
STATUSES: tuple[Status, ...] = ("holds", "fails", "not tested")
Numbers = Mapping[str, Any]


class Verdict(NamedTuple):
    """One claim judged on one set of results.

    ``numbers`` can be written as JSON; an estimate is {"mean", "low", "high", "n"}, n seeds.
    ``reason`` is one sentence: the numbers that decide, or what the results lack.
    """

    status: Status
    numbers: Numbers
    reason: str


class Claim(NamedTuple):
    """One thing that the paper asserts.

    ``where`` in the paper; ``paper``, what it says, retold; ``sentence``, what exactly is tested;
    ``figure``, the key of the figure or table that shows it; ``test``, a pure predicate on the
    whole results; ``if_it_fails``, our best explanation and what would decide it.
    """

    id: str
    where: str
    paper: str
    sentence: str
    figure: str
    test: Callable[[xr.Dataset], Verdict]
    if_it_fails: str


class Interval(NamedTuple):
    """A mean over ``n`` seeds and its confidence interval, of 95% unless something else is said."""

    mean: float
    low: float
    high: float
    n: int


class NotTested(Exception):
    """The results can't decide the claim: why, and whatever numbers there are."""

    def __init__(self, reason: str, numbers: Numbers | None = None):
        super().__init__(reason)
        self.reason = reason
        self.numbers = dict(numbers or {})


def interval(values: np.ndarray, /, *, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval of the mean of one value per seed.

    Raises:
      NotTested: there are fewer than two seeds, or a seed has no finite value.
    """
    values = np.asarray(values, np.float64)
    n = values.size
    if n < FEWEST_SEEDS:
        raise NotTested(f"{n} seed(s) only; an interval needs at least {FEWEST_SEEDS}")
    lost = int(np.sum(~np.isfinite(values)))
    if lost:
        raise NotTested(f"{lost} of {n} seeds have no finite value")
    mean = float(values.mean())
    reach = stats.t.ppf((1 + confidence) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n)
    return Interval(mean, mean - float(reach), mean + float(reach), n)


def decide(
    values: np.ndarray,
    /,
    *,
    what: str,
    above: float = -math.inf,
    below: float = math.inf,
    confidence: float = CONFIDENCE,
    numbers: Mapping[str, Any] | None = None,
) -> Verdict:
    """Holds if the interval of ``values``, one per seed, lies inside (``above``, ``below``).

    Args:
      what: names the quantity in the reason and in the numbers.
      confidence: of the interval; 1 - p where the claim is of a difference at some p.
      numbers: what else the verdict should show; an array is taken as one value per seed.
    """
    found = interval(values, confidence=confidence)
    shown = {what: found._asdict(), "claimed above": above, "claimed below": below}
    shown |= {name: _shown(value) for name, value in (numbers or {}).items()}
    side = " and ".join(
        f"{word} {bound:.3g}"
        for word, bound in (("above", above), ("below", below))
        if math.isfinite(bound)
    )
    measured = (
        f"{what}: {found.mean:.3g}, {100 * confidence:g}% interval {found.low:.3g} to "
        f"{found.high:.3g} "
        f"over {found.n} seeds"
    )
    if found.low > above and found.high < below:
        return Verdict("holds", clean(shown), f"{measured}; {side}, as claimed")
    if found.high < above or found.low > below:
        return Verdict("fails", clean(shown), f"{measured}; contradicted: claimed {side}")
    return Verdict(
        "fails", clean(shown), f"{measured}; not shown: claimed {side}, the interval reaches out"
    )


def on(
    name: str, test: Callable[..., Verdict], /, *, stand_in: str | None = None, **options: Any
) -> Callable[[xr.Dataset], Verdict]:
    """A predicate on whole results out of one on the part ``name``.

    Args:
      stand_in: a part whose numbers are shown where ``name`` is missing; it decides nothing.
      options: passed on to ``test``.
    """

    def judge_part(results: xr.Dataset) -> Verdict:
        found = part(results, name)
        if found is not None:
            return _tested(test, found, options)
        substitute = None if stand_in is None else part(results, stand_in)
        if stand_in is None or substitute is None:
            return Verdict("not tested", {}, f"the results hold no part '{name}'")
        verdict = _tested(test, substitute, options)
        reason = f"only the stand-in '{stand_in}' was run, not '{name}'; on it: {verdict.reason}"
        return Verdict("not tested", {stand_in: verdict.numbers}, reason)

    return judge_part


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


def _tested(test: Callable[..., Verdict], found: xr.Dataset, options: Mapping[str, Any]) -> Verdict:
    try:
        return test(found, **options)
    except NotTested as why:
        numbers = {name: _shown(value) for name, value in why.numbers.items()}
        return Verdict("not tested", clean(numbers), why.reason)


def _shown(value: Any) -> Any:
    """An array, one value per seed, as an estimate; where there is none, as it is."""
    if not isinstance(value, np.ndarray):
        return value
    try:
        return interval(value)._asdict()
    except NotTested:
        return value
