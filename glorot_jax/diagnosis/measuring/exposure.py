"""What JAX makes of a site at one step: all that isn't a reduction."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from glorot_jax.activations import SATURATED_SLOPE
from glorot_jax.diagnosis.arrays import Array
from glorot_jax.diagnosis.measuring.wide import is_complex, magnitude
from glorot_jax.diagnosis.tracing.convolutions import in_standard_layout
from glorot_jax.diagnosis.tracing.layout import Site, slope_of


class Values(NamedTuple):
    """What a site saw at one step."""

    kernel: Array
    z: Array
    s: Array
    ds: Array
    bias: Array | None
    others: tuple[Array, ...]


class Slopes(NamedTuple):
    """Of each value of s, bools in its shape; None where no elementwise function follows.

    ``saturated``: whether the slope f'(s) is below 5% of that at 0. ``moving``: whether it isn't 0.
    """

    saturated: Array | None
    moving: Array | None


class Made(NamedTuple):
    """What JAX alone can make of the values of a step: what is left of it is reductions.

    ``gradient``: dC/dw of the summed cost. ``f``: f(s), None where nothing elementwise follows.
    """

    gradient: Array
    f: Array | None
    slopes: Slopes


def make(site: Site, values: Values, gradient: Array | None = None) -> Made:
    """What reductions alone can't show of one step; ``gradient`` where it is known already."""
    kernel, z, s, ds, _, others = values
    f = site.activation
    if gradient is None:
        gradient = weight_gradient(site, z, kernel, others, ds)
    return Made(gradient, None if f is None else f(s), slopes(site, s))


def weight_gradient(
    site: Site, z: jax.Array, kernel: jax.Array, others: Sequence[jax.Array], ds: jax.Array
) -> jax.Array:
    """dC/dw of the summed cost, by one step."""

    def back(ds: jax.Array) -> Any:
        return jax.vjp(lambda kernel: site.contract(z, kernel, *others), kernel)[1](ds)

    (dw,) = in_standard_layout(back)(ds)
    return dw


def slopes(site: Site, s: jax.Array) -> Slopes:
    """Of the elementwise function that follows."""
    if site.activation is None:
        return Slopes(None, None)
    slope, full = (_real(slope_of(site.activation, at)) for at in (s, jnp.zeros_like(s)))
    return Slopes(jnp.sign(full) * slope < SATURATED_SLOPE * jnp.abs(full), slope != 0)


def _real(slope: jax.Array) -> jax.Array:
    """A slope of its own sign where it has one."""
    return magnitude(slope) if is_complex(slope) else slope.astype(jnp.float32)
