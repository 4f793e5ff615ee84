"""What each kernel keeps of the signal that goes up and of the gradient that comes down.

Flat rows are (site 0 step 0, site 0 step 1, .., site 1 step 0, ..), site by site.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.judging.prediction import inputs_of_an_output
from glorot_jax.diagnosis.measuring.site_statistics import Values, each_step, slope_of
from glorot_jax.diagnosis.reporting.monitor import Statistics
from glorot_jax.diagnosis.tracing.plan import Site
from glorot_jax.diagnosis.tracing.sites import Signals, Traced

Measured = Mapping[str, np.ndarray]


def measure_forward(found: Traced, x: Any) -> Callable[[Any], Measured]:
    """``params`` to s_std [rows], from a forward pass alone."""

    @jax.jit
    def measure(params: Any, x: Any) -> dict[str, jax.Array]:
        return {"s_std": _in_order(found, _stds(found, found.run(params, x).s))}

    return lambda params: jax.device_get(measure(params, x))


def measure_both(
    found: Traced,
    x: Any,
    cost: Callable[[jax.Array], jax.Array],
    mode: str,
    below: Sequence["Below"] | None,
) -> Callable[[Any], Measured]:
    """``params`` to [rows]: s_std, ds_std, and what ``mode`` asks for of the other two.

    ``carried`` is the rms of the gradient that a kernel carries down to the next s over that of
    dC/ds at its own; ``jacobian`` the root of n Var[W] E[f'(s)^2].
    """
    adds_up = [inputs_of_an_output(site) for site in found.sites] if mode == "critical" else []

    @jax.jit
    def measure(params: Any, x: Any) -> dict[str, jax.Array]:
        def total(taps: tuple[jax.Array, ...]) -> tuple[jax.Array, Signals]:
            signals = found.run(params, x, taps)
            return cost(signals.logits), signals

        ds, signals = jax.grad(total, has_aux=True)(found.taps())
        s_std = _stds(found, signals.s)
        # A branch that wasn't taken has no gradient rather than a gradient of 0.
        ds_std = [
            jnp.where(jnp.isnan(s), jnp.nan, std)
            for s, std in zip(s_std, _stds(found, ds), strict=True)
        ]
        measured = {"s_std": s_std, "ds_std": ds_std}
        if below is not None:
            measured["carried"] = _carried(found, signals, ds, below)
        if mode == "critical":
            made = zip(adds_up, _weights_and_slopes(found, signals), strict=True)
            measured["jacobian"] = [jnp.sqrt(n * mean_square) for n, mean_square in made]
        return {name: _in_order(found, values) for name, values in measured.items()}

    return lambda params: jax.device_get(measure(params, x))


def _carried(
    found: Traced, signals: Signals, ds: Sequence[jax.Array], below: Sequence["Below"]
) -> list[jax.Array]:
    """For each site, by step, the rms of f'(s_below) W^T dC/ds over that of dC/ds."""
    downs, slopes = [], []
    for site, values in zip(found.sites, values_of(signals, ds), strict=True):
        made = each_step(partial(_down_and_slope, site), site.kernel_varies, values)
        downs.append(flat_rows(site, made["down"]))
        slopes.append(flat_rows(site, made["slope"]))
    # Rows of one size can be multiplied by each other; the last row of a table is f' = 1.
    tables = {}
    for size in {down.shape[1] for down in downs}:
        rows = [slope for slope in slopes if slope.shape[1] == size]
        tables[size] = jnp.concatenate([*rows, jnp.ones((1, size))])
    loose = jnp.concatenate([*(_rms(slope) for slope in slopes), jnp.ones(1)])
    first = _first_rows(found)
    carried = []
    for site, start, down, up in zip(found.sites, first, downs, ds, strict=True):
        size = down.shape[1]
        mine = below[start : start + prod(site.steps)]
        place = _places_in_table(found, slopes, size)
        aligned = jnp.array([place.get(b.row if b.aligned else None, -1) for b in mine])
        otherwise = jnp.array([-1 if b.aligned or b.row is None else b.row for b in mine])
        rms = _rms(tables[size][aligned] * down) * loose[otherwise]
        carried.append(rms / _rms(flat_rows(site, up)))
    return carried


def _weights_and_slopes(found: Traced, signals: Signals) -> list[jax.Array]:
    """For each site, by step, the mean square of its kernel times that of f'(s)."""

    def one_step(site: Site, values: Values) -> dict[str, jax.Array]:
        slope = _slope_or_one(site, values.s).astype(jnp.float32)
        kernel = values.kernel.astype(jnp.float32)
        return {"both": jnp.mean(jnp.square(kernel)) * jnp.mean(jnp.square(slope))}

    seen = zip(found.sites, values_of(signals, signals.s), strict=True)
    return [
        each_step(partial(one_step, site), site.kernel_varies, values)["both"].reshape(-1)
        for site, values in seen
    ]


def _places_in_table(
    found: Traced, slopes: Sequence[jax.Array], size: int
) -> dict[int | None, int]:
    rows = [
        start + step
        for start, slope in zip(_first_rows(found), slopes, strict=True)
        if slope.shape[1] == size
        for step in range(len(slope))
    ]
    return {row: place for place, row in enumerate(rows)}


def _down_and_slope(site: Site, values: Values) -> dict[str, jax.Array]:
    z, s, ds, kernel, _ = values
    if jnp.issubdtype(z.dtype, jnp.inexact):
        down = jax.vjp(lambda z: site.contract(z, kernel), z)[1](ds)[0]
    else:
        down = jnp.full(z.shape, jnp.nan)
    return {"down": down, "slope": _slope_or_one(site, s)}


def _slope_or_one(site: Site, s: jax.Array) -> jax.Array:
    return jnp.ones_like(s) if site.activation is None else slope_of(site.activation, s)


def values_of(signals: Signals, ds: Sequence[jax.Array]) -> Iterator[Values]:
    """What each site saw, without its bias."""
    for z, s, d, kernel in zip(signals.z, signals.s, ds, signals.kernels, strict=True):
        yield Values(z, s, d, kernel, None)


def flat_rows(site: Site, values: jax.Array) -> jax.Array:
    """[steps, values of a step], float32."""
    return values.reshape(prod(site.steps), -1).astype(jnp.float32)


def _rms(rows: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(rows), axis=1))


def _stds(found: Traced, values: Sequence[jax.Array]) -> list[jax.Array]:
    pairs = zip(found.sites, values, strict=True)
    return [jnp.std(flat_rows(site, of_site), axis=1) for site, of_site in pairs]


def _first_rows(found: Traced) -> list[int]:
    """The flat row of the first step of each site."""
    return list(accumulate((prod(site.steps) for site in found.sites), initial=0))[:-1]


def _in_order(found: Traced, by_site: Sequence[jax.Array]) -> jax.Array:
    return jnp.concatenate(by_site)[jnp.array(found.row_order())]


def as_statistics(found: Traced, measured: Measured) -> Statistics:
    """The std of s and of dC/ds, labelled by the rows."""
    values = {name: measured[name] for name in ("s_std", "ds_std")}
    return Statistics(values, tuple(row.label for row in found.rows()))


class Below(NamedTuple):
    """The flat row whose f(s) is a row's z, if any, and whether in the same order of values."""

    row: int | None = None
    aligned: bool = False


def _prints(site: Site, values: Values) -> dict[str, jax.Array]:
    """Numbers by which z and f(s) are told to be the same, in any order and in this one."""
    unknown = jnp.full(6, jnp.nan)
    z = unknown
    if jnp.issubdtype(values.z.dtype, jnp.inexact):
        z = _print(values.z)
    return {"z": z, "f": unknown if site.activation is None else _print(site.activation(values.s))}


def _print(values: jax.Array) -> jax.Array:
    flat = values.reshape(-1).astype(jnp.float32)
    place = jnp.arange(flat.size, dtype=jnp.float32)
    norm = jnp.linalg.norm(flat)
    mean, sizes = jnp.sum(flat), jnp.sum(jnp.abs(flat))
    rows = [flat @ wave(place) for wave in (jnp.sin, jnp.cos)]
    return jnp.stack([jnp.float32(flat.size), norm, mean, sizes, *rows])


def find_below(found: Traced, params: Any, x: Any) -> list[Below]:
    """For each flat row the nearest row before it in the program whose f(s) is its z."""

    @jax.jit
    def look(params: Any, x: Any) -> dict[str, jax.Array]:
        signals = found.run(params, x)
        prints = []
        for site, values in zip(found.sites, values_of(signals, signals.s), strict=True):
            made = each_step(partial(_prints, site), site.kernel_varies, values)
            prints.append(jax.tree.map(partial(flat_rows, site), made))
        return jax.tree.map(lambda *rows: jnp.concatenate(rows), *prints)

    prints = jax.device_get(look(params, x))
    position = {row: place for place, row in enumerate(found.row_order())}
    below = []
    for row, z in enumerate(prints["z"]):
        with np.errstate(invalid="ignore"):
            same = np.abs(prints["f"] - z) <= 3e-3 * z[1]
        before = np.array([position[other] < position[row] for other in range(len(same))])
        alike = before & same[:, :4].all(axis=1) & (z[1] > 0)
        aligned = alike & same.all(axis=1)
        candidates = np.flatnonzero(aligned if aligned.any() else alike)
        nearest = max(candidates.tolist(), key=position.__getitem__, default=None)
        below.append(Below(nearest, bool(aligned.any())))
    return below
