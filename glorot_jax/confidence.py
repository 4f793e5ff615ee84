"""Means over seeds and how well they are known, where some numbers may be missing."""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """``mean`` and ``half``, the half-width of its t interval; arrays of the same shape."""

    mean: np.ndarray
    half: np.ndarray

    @property
    def low(self) -> np.ndarray:
        """The lower end."""
        return self.mean - self.half

    @property
    def high(self) -> np.ndarray:
        """The upper end."""
        return self.mean + self.half


def mean_interval(values: np.ndarray, *, axis: int, confidence: float = CONFIDENCE) -> Interval:
    """The mean of ``values`` over ``axis`` and its Student t interval; NaN is left out.

    The mean of nothing is NaN, and so is the half-width of the mean of fewer than two values.
    """
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    mean = np.where(known, values, 0.0).sum(axis=axis) / np.where(count > 0, count, 1)
    mean = np.where(count > 0, mean, np.nan)
    deviation = np.where(known, values - np.expand_dims(mean, axis), 0.0)
    degrees = np.where(count > 1, count - 1, 1)
    error = np.sqrt(np.square(deviation).sum(axis=axis) / degrees / np.where(count > 0, count, 1))
    half = stdtrit(degrees, (1 + confidence) / 2) * error
    return Interval(mean, np.where(count > 1, half, np.nan))


class Spread(NamedTuple):
    """How far a mean strays: its variance, in two parts, and the degrees of freedom of both.

    Attributes:
      from_seeds: what falls with the number of seeds.
      from_examples: what doesn't; 0 where the seeds share no examples.
      degrees: of freedom, by Welch and Satterthwaite.
    """

    from_seeds: float
    from_examples: float
    degrees: float

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return float(np.sqrt(self.from_seeds + self.from_examples))

    def half(self, *, confidence: float = CONFIDENCE) -> float:
        """The half-width of the mean's t interval."""
        return float(stdtrit(self.degrees, (1 + confidence) / 2)) * self.error

    def p(self, distance: float) -> float:
        """Two-sided p of a mean that lies ``distance`` from what is tested."""
        if not self.error:
            return 0.0 if distance else 1.0
        return float(2 * stdtr(self.degrees, -abs(distance) / self.error))


def spread_of_mean(values: np.ndarray, /) -> Spread:
    """How far the mean of ``values`` [seed] strays, or [seed, example] of examples they share.

    Seeds that share a test set share its sampling error, which no number of seeds takes away. With
    one value for each seed and example the variance of their mean is that of a two-way layout
    without repetition, (MS_seed + MS_example - MS_rest) / (seeds x examples): Searle, Casella &
    McCulloch (1992), section 4.4; at least the seeds' own part, below which chance may take it.

    Args:
      values: finite, of two seeds and, if any, two examples at least.
    """
    values = np.asarray(values, np.float64)
    seeds = values.shape[0]
    by_seed = values.reshape(seeds, -1).mean(axis=1)
    from_seeds = float(by_seed.var(ddof=1)) / seeds
    if values.ndim == 1:
        return Spread(from_seeds, 0.0, seeds - 1)
    examples = values.shape[1]
    by_example = values.mean(axis=0)
    rest = values - by_seed[:, None] - by_example + by_seed.mean()
    shared = float(np.square(rest).sum()) / ((seeds - 1) * (examples - 1)) / (seeds * examples)
    # The rest is in both parts; it is taken out of the one that more seeds don't lessen.
    from_examples = max(float(by_example.var(ddof=1)) / examples - shared, 0.0)
    both = from_seeds**2 / (seeds - 1) + from_examples**2 / (examples - 1)
    degrees = (from_seeds + from_examples) ** 2 / both if both else seeds - 1
    return Spread(from_seeds, from_examples, degrees)


def slope_interval(
    x: np.ndarray, values: np.ndarray, *, confidence: float = CONFIDENCE
) -> Interval:
    """The least squares slope of ``values`` [x, draw, ..] on ``x``, and its t interval.

    Of several draws, whose values are independent, each has a slope, and the interval is that of
    their mean. Of one draw it is the regression's own, from what the line leaves over, with two
    degrees of freedom less than there are x. NaN where a draw has a value that isn't finite.
    """
    values = np.asarray(values, np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    away = x - np.mean(x)
    slopes = np.tensordot(away / np.sum(away**2), values, axes=(0, 0))
    if values.shape[1] > 1:
        return mean_interval(slopes, axis=0, confidence=confidence)
    shape = (len(x),) + (1,) * (values.ndim - 1)
    left = values - values.mean(axis=0) - slopes * away.reshape(shape)
    degrees = len(x) - 2
    error = np.sqrt(np.square(left).sum(axis=0) / degrees / np.sum(away**2))
    half = stdtrit(degrees, (1 + confidence) / 2) * error
    return Interval(slopes[0], half[0])
