"""What each kernel makes of the signal that goes up and of the gradient that comes down."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.measuring.fingerprints import (
    InputSource,
    fingerprint,
    fingerprint_after,
    input_sources,
)
from glorot_jax.diagnosis.measuring.moments import mean_square, std
from glorot_jax.diagnosis.measuring.site_statistics import Statistics
from glorot_jax.diagnosis.measuring.wide import magnitude
from glorot_jax.diagnosis.tracing.convolutions import in_standard_layout
from glorot_jax.diagnosis.tracing.layout import Site, each_step, flat_steps, slope_of
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.diagnosis.tracing.sites import Signals, Traced
from glorot_jax.typing import PyTree

Measured = Mapping[str, np.ndarray]
Measure = Callable[[Any], Measured]


def inputs_of_an_output(site: Site) -> float:
    """How many inputs an output adds up, on average: fewer than fan_in beside a border."""
    if site.kind == "embedding":
        return np.nan
    if site.kind == "dense":
        return float(site.fan_in)
    share = prod(np.mean(shares) for shares in site.uses if shares)
    return float(prod(site.z.shape) * site.fan_out * share / prod(site.s.shape))


def forward_gains(traced: Traced, x: PyTree) -> Measure:
    """``params`` to s_std [rows], from a forward pass alone."""

    @compiled_once
    def measure(params: PyTree, x: PyTree) -> dict[str, jax.Array]:
        return {"s_std": traced.layout.to_rows(_stds(traced, traced.run(params, x).s))}

    return lambda params: jax.device_get(measure(params, x))


def both_gains(
    traced: Traced,
    x: PyTree,
    cost: Callable[[Any], jax.Array],
    sources: Sequence[InputSource] | None,
    *,
    jacobian: bool = False,
) -> Measure:
    """``params`` to [rows]: s_std, ds_std, and of the other two what is asked for.

    ``backward_gain``, with ``sources``: the rms of the gradient that a kernel takes down to the
    next s over that of dC/ds at its own. ``jacobian_gain``: the root of n Var[W] E[f'(s)^2].
    ``cost`` is of all outputs, a scalar.
    """
    adds_up = [inputs_of_an_output(site) for site in traced.sites] if jacobian else []

    @compiled_once
    def measure(params: PyTree, x: PyTree) -> dict[str, jax.Array]:
        def total(perturbations: tuple[jax.Array, ...]) -> tuple[jax.Array, Signals]:
            signals = traced.run(params, x, perturbations)
            return cost(signals.outputs), signals

        ds, signals = jax.grad(total, has_aux=True)(traced.perturbations())
        s_std = _stds(traced, signals.s)
        # A branch that wasn't taken has no gradient rather than a gradient of 0.
        ds_std = [
            jnp.where(jnp.isnan(s) | (not site.differentiable), jnp.nan, d)
            for site, s, d in zip(traced.sites, s_std, _stds(traced, ds), strict=True)
        ]
        measured = {"s_std": s_std, "ds_std": ds_std}
        if sources is not None:
            measured["backward_gain"] = _backward_gain(traced, signals, ds, sources)
        if jacobian:
            squares = zip(adds_up, _weights_and_slopes(traced, signals), strict=True)
            measured["jacobian_gain"] = [jnp.sqrt(n * square) for n, square in squares]
        return {name: traced.layout.to_rows(values) for name, values in measured.items()}

    return lambda params: jax.device_get(measure(params, x))


def _backward_gain(
    traced: Traced,
    signals: Signals,
    ds: Sequence[jax.Array],
    sources: Sequence[InputSource],
) -> list[jax.Array]:
    """For each site, by step, the rms of f'(s_below) W^T dC/ds over that of dC/ds."""
    downs, slopes = [], []
    for index, site in enumerate(traced.sites):
        seen = (signals.z[index], signals.s[index], ds[index], signals.others[index])
        made = each_step(site, partial(_down_and_slope, site), signals.kernels[index], *seen)
        downs.append(_sizes(made["down"]))
        slopes.append(_sizes(made["slope"]))
    # Rows of one size can be multiplied by each other; the last of a table is f' = 1.
    tables: dict[int, jax.Array] = {}
    places: dict[int, dict[int | None, int]] = {}
    for size in {down.shape[1] for down in downs}:
        alike = [index for index, slope in enumerate(slopes) if slope.shape[1] == size]
        tables[size] = jnp.concatenate(
            [*(slopes[i] for i in alike), jnp.ones((1, size), jnp.float32)]
        )
        rows = [row for index in alike for row in traced.layout.rows_of[index]]
        places[size] = {row: place for place, row in enumerate(rows)}
    by_row = traced.layout.to_rows([_rms(slope) for slope in slopes])
    loose = jnp.append(by_row, jnp.float32(1))
    gains = []
    for index, (site, down) in enumerate(zip(traced.sites, downs, strict=True)):
        mine = [sources[row] for row in traced.layout.rows_of[index]]
        size = down.shape[1]
        aligned = [places[size].get(one.row, -1) if one.aligned else -1 for one in mine]
        otherwise = [-1 if one.aligned or one.row is None else one.row for one in mine]
        below = tables[size][np.array(aligned)] * down
        rms = _rms(below) * loose[np.array(otherwise)]
        gains.append(rms / _rms(_sizes(flat_steps(site, ds[index]))))
    return gains


def _weights_and_slopes(traced: Traced, signals: Signals) -> list[jax.Array]:
    """For each site, by step, the mean square of its kernel times that of f'(s)."""

    def one_step(site: Site, kernel: jax.Array, s: jax.Array) -> jax.Array:
        return mean_square(kernel) * mean_square(_slope_or_one(site, s))

    return [
        each_step(site, partial(one_step, site), kernel, s)
        for site, kernel, s in zip(traced.sites, signals.kernels, signals.s, strict=True)
    ]


def _down_and_slope(
    site: Site,
    kernel: jax.Array,
    z: jax.Array,
    s: jax.Array,
    ds: jax.Array,
    others: tuple[jax.Array, ...],
) -> dict[str, jax.Array]:

    def back(ds: jax.Array) -> jax.Array:
        return jax.vjp(lambda z: site.contract(z, kernel, *others), z)[1](ds)[0]

    if jnp.issubdtype(z.dtype, jnp.inexact):
        down = in_standard_layout(back)(ds)
    else:
        down = jnp.full(z.shape, jnp.nan, jnp.float32)
    return {"down": down, "slope": _slope_or_one(site, s)}


def _slope_or_one(site: Site, s: jax.Array) -> jax.Array:
    return jnp.ones_like(s) if site.activation is None else slope_of(site.activation, s)


def _sizes(steps: jax.Array) -> jax.Array:
    """Of the values of each step [steps, ..], flat."""
    return magnitude(steps).reshape(len(steps), prod(steps.shape[1:]))


def _rms(rows: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(rows), axis=1))


def _stds(traced: Traced, values: Sequence[jax.Array]) -> list[jax.Array]:
    pairs = zip(traced.sites, values, strict=True)
    return [jax.vmap(std)(flat_steps(site, of_site)) for site, of_site in pairs]


def as_statistics(traced: Traced, measured: Measured) -> Statistics:
    """The std of s and of dC/ds, labelled by the rows."""
    values = {name: measured[name] for name in ("s_std", "ds_std")}
    return Statistics(values, tuple(row.label for row in traced.rows()))


def find_input_sources(traced: Traced, params: PyTree, x: PyTree) -> tuple[InputSource, ...]:
    """For each row the nearest row before it in the program whose f(s) is its z."""

    def prints(site: Site, _: jax.Array, z: jax.Array, s: jax.Array) -> dict[str, jax.Array]:
        return {"z": fingerprint(z), "f": fingerprint_after(site.activation, s)}

    @compiled_once
    def look(params: PyTree, x: PyTree) -> PyTree:
        signals = traced.run(params, x)
        values = zip(traced.sites, signals.kernels, signals.z, signals.s, strict=True)
        return traced.layout.to_rows(
            [each_step(site, partial(prints, site), kernel, z, s) for site, kernel, z, s in values]
        )

    return input_sources(**jax.device_get(look(params, x)))
