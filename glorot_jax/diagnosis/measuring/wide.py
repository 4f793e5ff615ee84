"""An array in float32, with what is often needed of it."""

from functools import cached_property

import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.arrays import Array, namespace


def is_inexact(values: Array) -> bool:
    """Whether values are real or complex floats."""
    return bool(jnp.issubdtype(values.dtype, jnp.inexact))


def is_complex(values: Array) -> bool:
    """Whether values have an imaginary part."""
    return bool(jnp.issubdtype(values.dtype, jnp.complexfloating))


class Wide:
    """One array in float32 whatever its type; what is needed of it often is computed once.

    ``parts``: a complex array's real and imaginary parts in a last axis of 2.
    ``peak``: the largest |w|, NaN if any is. ``scale``: the same, 1 where it is 0 or not finite,
    and no less than has an inverse. ``scaled``: ``parts`` over ``scale``. ``squares``: |w|^2 over
    that of ``scale``, in the shape of the array. ``std``: sqrt(E|w - E[w]|^2). ``all_nan``: whether
    all are.
    """

    def __init__(self, values: Array) -> None:
        self.values = values
        self.xp = namespace(values)

    @cached_property
    def parts(self) -> Array:
        values = self.values
        if is_complex(values):
            values = self.xp.stack([values.real, values.imag], axis=-1)
        return values.astype(np.float32, copy=False)

    @cached_property
    def peak(self) -> Array:
        return self.xp.max(magnitude(self.values))

    @cached_property
    def scale(self) -> Array:
        xp, peak = self.xp, self.peak
        usable = (peak > 0) & xp.isfinite(peak)
        return xp.where(usable, xp.maximum(peak, jnp.finfo(np.float32).tiny), 1)

    @cached_property
    def scaled(self) -> Array:
        # By the inverse: with a division by one number XLA on a CPU takes four times as long.
        return self.parts * (1 / self.scale)

    @cached_property
    def squares(self) -> Array:
        squares = self.xp.square(self.scaled)
        return self.xp.sum(squares, axis=-1) if is_complex(self.values) else squares

    @cached_property
    def std(self) -> Array:
        of_parts = self.xp.var(self.scaled, axis=tuple(range(self.values.ndim)))
        return self.scale * self.xp.sqrt(self.xp.sum(of_parts))

    @cached_property
    def all_nan(self) -> Array:
        if self.xp is np and not np.isnan(self.peak):
            return np.False_
        # By a maximum, which XLA on a CPU compiles in a third of the time of ``all``.
        found = magnitude(self.values)
        return self.xp.max(self.xp.where(self.xp.isnan(found), -1, found)) < 0


def wide(values: Array | Wide) -> Wide:
    """The array, ready to be measured."""
    return values if isinstance(values, Wide) else Wide(values)


def magnitude(values: Array) -> Array:
    """|w| in float32."""
    return namespace(values).abs(values).astype(np.float32, copy=False)
