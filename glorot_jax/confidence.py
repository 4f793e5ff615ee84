"""Means over seeds and how well they are known, where some numbers may be missing."""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

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
