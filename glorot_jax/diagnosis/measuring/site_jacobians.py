"""Singular values of the Jacobian of each site of any traced model."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from math import ceil, prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from glorot_jax.diagnosis.measuring.lanczos import (
    BINS,
    MATVECS,
    Bidiagonal,
    Ritz,
    Spectrum,
    bidiagonal,
    exact_summary,
    one_at_a_time,
    ritz,
    summary,
)
from glorot_jax.diagnosis.measuring.moments import all_nan
from glorot_jax.diagnosis.measuring.wide import magnitude
from glorot_jax.diagnosis.tracing.convolutions import in_standard_layout
from glorot_jax.diagnosis.tracing.jaxpr import Read, bind, evaluate
from glorot_jax.diagnosis.tracing.layout import Site, each_step, slope_of
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.typing import PRNGKey, PyTree

EXACT_UP_TO = 64
MEMORY = 64 * 2**20
_FLOAT = 4  # bytes
_COPIES = 4  # that XLA holds of the Lanczos vectors on a CPU, by its own account

Operator = Callable[[jax.Array], jax.Array]


def site_spectra(
    traced: Traced,
    params: PyTree,
    x: PyTree,
    key: PRNGKey,
    /,
    *,
    exact_up_to: int = EXACT_UP_TO,
    matvecs: int = MATVECS,
    num_vectors: int = 1,
    bins: int = BINS,
    memory: int = MEMORY,
    examples: int | None = None,
    sites: Collection[int] | None = None,
) -> Mapping[str, jax.Array]:
    """Singular values of the Jacobian of one example across every row of ``traced.rows()``.

    J is from the input z of the site to the elementwise function that follows its s, diag(f'(s)) W
    for a dense layer (section 4.2.1), or to s where there is none. Pure, for ``jit`` and for
    ``vmap`` over seeds. float32, except ``exact``. Each array's first axis is the row; values are
    averages over the examples x, and are explained at ``lanczos.Spectrum``:
      sigma_mean, sigma_mean_error, sigma_mean_square (always exact), sigma_max, sigma_max_error,
      sigma_min, condition, exact (bool): [rows]. density [rows, bins], edges [rows, bins + 1].
    NaN, all of a row, at an embedding, in a branch not taken, and where a site shares the axis of
    its examples with something else, or a reshape after its product does.

    Args:
      exact_up_to: a Jacobian with at most this many singular values is decomposed exactly. One
        matrix of that many rows is held, and examples are done one after the other.
      matvecs, num_vectors: Lanczos steps from each start vector, and start vectors an example.
      memory: bytes that the Lanczos vectors and XLA's copies of them may take: 4 matvecs (inputs +
        outputs) floats a start vector, as many of them at once as fit. Beside them
        there are the signals of one forward pass, as many slopes and a copy of the kernels.
      examples: how many, the first ones, and sites: their indices; of the others all is NaN.
    """
    signals = traced.run(params, x)
    how = _How(exact_up_to, matvecs, num_vectors, bins, memory, examples)
    wanted = range(len(traced.sites)) if sites is None else sites
    spectra = [nothing(prod(site.steps), bins) for site in traced.sites]
    measured: dict[int, _Values] = {}
    # One program for sites that are alike, one after the other: all together they take as long
    # to compile as a single one, and the memory of a single one.
    for every, axes in _alike(traced.sites):
        group = [index for index in every if index in wanted]
        if not group:
            continue
        first = traced.sites[group[0]]
        site = replace(
            first, steps=(len(group), *first.steps), kernel_varies=(True, *first.kernel_varies)
        )
        slopes = jnp.stack([_slopes(traced.sites[i], signals.s[i]) for i in group])
        kernels = jnp.stack([signals.kernels[i] for i in group])
        keys = jax.random.split(jax.random.fold_in(key, group[0]), site.steps)
        # Nothing of this group is made before the last one is done.
        slopes, measured = jax.lax.optimization_barrier((slopes, measured))
        of_one = in_standard_layout(partial(_site_values, site, axes, how))
        of_group = each_step(site, of_one, kernels, slopes, keys)
        measured |= dict(zip(group, _split(of_group, len(group)), strict=True))
    for index, spectrum in _spectra(measured, bins).items():
        spectra[index] = spectrum
    return traced.layout.to_rows([named(spectrum) for spectrum in spectra])


@dataclass(frozen=True)
class _How:
    exact_up_to: int
    matvecs: int
    num_vectors: int
    bins: int
    memory: int
    examples: int | None


@dataclass(frozen=True)
class _Axes:
    """Those of the examples."""

    z: int
    s: int


def _alike(sites: Sequence[Site]) -> list[tuple[list[int], _Axes]]:
    """The indices of the sites that have a Jacobian, those of one linear operation together."""
    groups: dict[Any, tuple[list[int], _Axes]] = {}
    for index, site in enumerate(sites):
        if site.kind == "embedding" or site.z_axis is None or site.s_axis is None:
            continue
        if site.others or (_is_complex(site) and site.activation is not None):
            continue
        axes = _Axes(site.z_axis, site.s_axis)
        if not _takes_one_example(site, axes):
            continue
        linear = str(jax.make_jaxpr(site.contract)(site.z, site.kernel))
        key = (linear, axes, site.steps, site.kernel_varies, site.activation is None)
        groups.setdefault(key, ([], axes))[0].append(index)
    return list(groups.values())


def _takes_one_example(site: Site, axes: _Axes) -> bool:
    """Whether the product can be done for one example: not where a reshape mixes them."""
    shape = site.z.shape
    one = jax.ShapeDtypeStruct(shape[: axes.z] + shape[axes.z + 1 :], jnp.float32)
    kernel = jax.ShapeDtypeStruct(site.kernel.shape, jnp.float32)
    try:
        jax.eval_shape(_linear_part(site, axes), kernel, one)
    except ValueError:
        return False
    return True


def _split(stacked: Any, parts: int) -> list[Any]:
    """Equal parts of the first axis."""
    each = jax.tree.map(lambda a: jnp.split(a, parts), stacked)
    return [jax.tree.map(lambda a, i=i: a[i], each, is_leaf=_is_list) for i in range(parts)]


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def named(spectrum: Spectrum) -> dict[str, jax.Array]:
    """The fields of a spectrum by the names that a report has for them."""
    return {_NAMES.get(name, name): values for name, values in spectrum._asdict().items()}


_NAMES = {
    "mean": "sigma_mean",
    "mean_error": "sigma_mean_error",
    "mean_square": "sigma_mean_square",
    "maximum": "sigma_max",
    "maximum_error": "sigma_max_error",
    "minimum": "sigma_min",
}


def nothing(count: int, bins: int) -> Spectrum:
    """The spectra of ``count`` operators of which nothing is known: NaN, and not exact."""
    return jax.tree.map(
        lambda a: jnp.full((count, *a.shape), False if a.dtype == bool else jnp.nan, a.dtype),
        _shapes(bins),
    )


@cache
def _shapes(bins: int) -> Spectrum:
    one = jax.ShapeDtypeStruct((1, 1), jnp.float32)
    made: Spectrum = jax.eval_shape(partial(exact_summary, bins=bins), one)
    return made


class _Known(NamedTuple):
    """Of each example's Jacobian, [n, k] singular values, descending; all NaN where not taken."""

    values: jax.Array


class _Found(NamedTuple):
    """What a summary is made of where Lanczos steps are, all of [n, ..]; NaN where not taken.

    ``steps``: [n, vectors, ..]. ``rms``: see ``summary``. ``singular``: bools.
    """

    steps: Bidiagonal
    rms: jax.Array
    singular: jax.Array


_Values = _Known | _Found


def _spectra(measured: Mapping[int, _Values], bins: int) -> dict[int, Spectrum]:
    """Those of each site, [steps]; one program for all sites whose values have one form."""
    forms: dict[Any, list[int]] = {}
    for index, values in measured.items():
        form = jax.tree.map(lambda a: a.shape[1:], values), type(values)
        forms.setdefault(str(form), []).append(index)
    spectra = {}
    for group in forms.values():
        together = jax.tree.map(
            lambda *parts: jnp.concatenate(parts), *(measured[index] for index in group)
        )
        made = jax.lax.map(partial(_spectrum, bins), together)
        begun = 0
        for index in group:
            steps = len(jax.tree.leaves(measured[index])[0])
            spectra[index] = jax.tree.map(lambda a, b=begun, n=steps: a[b : b + n], made)
            begun += steps
    return spectra


def _spectrum(bins: int, values: _Values) -> Spectrum:
    if isinstance(values, _Known):
        taken = ~jnp.isnan(values.values).any()
        spectrum = exact_summary(jnp.where(taken, values.values, 0), bins=bins)
    else:
        taken = ~jnp.isnan(values.rms).any()
        each: Ritz = jax.vmap(jax.vmap(ritz))(values.steps)
        spectrum = summary(each, values.rms, values.singular, bins=bins)
    return jax.tree.map(lambda a: a if a.dtype == bool else jnp.where(taken, a, jnp.nan), spectrum)


def _site_values(
    site: Site, axes: _Axes, how: _How, kernel: jax.Array, slopes: jax.Array, key: jax.Array
) -> _Values:
    taken = ~all_nan(slopes)
    slopes = jnp.moveaxis(jnp.where(taken, slopes, 0), axes.s, 0)[: how.examples]
    shape = (*site.z.shape[: axes.z], *site.z.shape[axes.z + 1 :])
    linear = partial(_linear_part(site, axes), _single(jnp.where(taken, kernel, 0)))
    if _is_complex(site):
        # As a real operator each of its singular values is there twice.
        shape, slopes = (*shape, 2), jnp.stack([slopes, slopes], axis=-1)
        linear = partial(_on_parts, linear)
    like = jax.ShapeDtypeStruct(shape, jnp.float32)
    if min(like.size, slopes[0].size) <= how.exact_up_to:
        matrix = _matrix(linear, like, slopes[0].size)
        # Without an activation all examples have the same Jacobian.
        each = slopes[:1] if site.activation is None else slopes
        values = jax.lax.map(lambda d: singular_values_of(d.reshape(-1, 1) * matrix), each)
        return _Known(jnp.where(taken, values, jnp.nan))
    rms = _rms(_linear_part(site, axes), kernel, site, axes, slopes)
    # Fewer units let something through than there are singular values.
    passing = jnp.sum(slopes.reshape(len(slopes), -1) != 0, axis=1)
    singular = passing < min(like.size, slopes[0].size)
    steps = _lanczos(linear, like, how, slopes, key)
    return _Found(steps, jnp.where(taken, rms, jnp.nan), singular)


def _lanczos(
    linear: Operator, like: jax.ShapeDtypeStruct, how: _How, slopes: jax.Array, key: jax.Array
) -> Bidiagonal:
    """Of every example and start vector, [n, vectors, ..]."""

    def from_one_vector(of_example: tuple[jax.Array, jax.Array]) -> Bidiagonal:
        slope, key = of_example
        return bidiagonal(lambda v: linear(v) * slope, like, key, matvecs=how.matvecs)

    n, outputs = len(slopes), slopes[0].size
    count = n * how.num_vectors
    steps = min(how.matvecs, like.size, outputs)
    at_once = max(1, how.memory // (_COPIES * _FLOAT * steps * (like.size + outputs)))
    # As many turns, but all of about one size.
    at_once = ceil(count / ceil(count / at_once))
    given = jnp.repeat(slopes, how.num_vectors, axis=0), jax.random.split(key, count)
    # One by one they are another program than in a batch of one, and a faster one.
    every = jax.lax.map(from_one_vector, given, batch_size=at_once if at_once > 1 else None)
    return jax.tree.map(lambda a: a.reshape(n, how.num_vectors, *a.shape[1:]), every)


def _slopes(site: Site, s: jax.Array) -> jax.Array:
    """f'(s) in float32, 1 without an activation; all NaN at a step that isn't taken."""

    def one_step(s: jax.Array) -> jax.Array:
        slope = jnp.ones(s.shape, jnp.float32)
        if site.activation is not None:
            slope = slope_of(site.activation, s).astype(jnp.float32)
        return jnp.where(all_nan(s), jnp.nan, slope)

    each = one_step
    for _ in site.steps:
        each = jax.vmap(each)
    return each(s)


def _is_complex(site: Site) -> bool:
    return bool(jnp.issubdtype(site.kernel.dtype, jnp.complexfloating))


def _single(values: jax.Array) -> jax.Array:
    """In single precision."""
    is_complex = jnp.issubdtype(values.dtype, jnp.complexfloating)
    return values.astype(jnp.complex64 if is_complex else jnp.float32)


def _on_parts(linear: Operator, z: jax.Array) -> jax.Array:
    """A complex operator on real and imaginary parts [.., 2]."""
    s = linear(jax.lax.complex(z[..., 0], z[..., 1]))
    return jnp.stack([s.real, s.imag], axis=-1)


def _linear_part(site: Site, axes: _Axes) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """(kernel, z of one example) to that example's s before its bias, all in float32."""
    closed = jax.make_jaxpr(site.contract)(site.z, site.kernel)

    def special(index: int, eqn: core.JaxprEqn, read: Read) -> Any:
        values = [read(atom) for atom in eqn.invars]
        params = dict(eqn.params)
        if eqn.primitive.name == "convert_element_type":
            return values
        if "preferred_element_type" in params:
            params["preferred_element_type"] = jnp.result_type(*values)
        if eqn.primitive.name == "reshape":
            params["new_sizes"] = _with_one_example(eqn, values[0].shape)
        return bind(eqn.replace(params=params), values)

    def linear(kernel: jax.Array, z: jax.Array) -> jax.Array:
        (s,) = evaluate(closed, [jnp.expand_dims(z, axes.z), kernel], special)
        return jnp.squeeze(s, axes.s)

    return linear


def _with_one_example(eqn: core.JaxprEqn, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes a reshape makes of an array that has one example where there were n."""
    made_of: Any = eqn.invars[0].aval
    old, new = made_of.shape, eqn.params["new_sizes"]
    axis = next(a for a, (n, one) in enumerate(zip(old, shape, strict=True)) if n != one)
    before = prod(old[:axis])
    for moved, size in enumerate(new):
        if prod(new[:moved]) == before and size == old[axis]:
            return (*new[:moved], 1, *new[moved + 1 :])
    raise ValueError(f"reshape: {list(old)} to {list(new)} mixes the examples with another axis")


def _matrix(operator: Operator, like: jax.ShapeDtypeStruct, outputs: int) -> jax.Array:
    """[outputs, inputs] of a linear operator, built along its shorter side."""
    inputs = like.size
    if inputs <= outputs:
        columns = jax.lax.map(
            operator, jnp.eye(inputs, dtype=jnp.float32).reshape(inputs, *like.shape)
        )
        return columns.reshape(inputs, outputs).T
    made = jax.eval_shape(operator, like)
    transpose = jax.linear_transpose(operator, like)
    (rows,) = jax.lax.map(
        transpose, jnp.eye(outputs, dtype=jnp.float32).reshape(outputs, *made.shape)
    )
    return rows.reshape(outputs, inputs)


@one_at_a_time
def singular_values_of(matrix: jax.Array) -> jax.Array:
    """All of them, descending."""
    return jnp.linalg.svd(matrix, compute_uv=False)


def _rms(
    linear: Callable[[jax.Array, jax.Array], jax.Array],
    kernel: jax.Array,
    site: Site,
    axes: _Axes,
    slopes: jax.Array,
) -> jax.Array:
    """Root mean square singular value of each example's Jacobian, [n], by Frobenius' norm.

    An output is a sum of inputs times one weight each, so squared weights and inputs of 1 give
    the squared norms of W's rows.
    """
    kernel = magnitude(kernel)
    if _is_complex(site):
        slopes = slopes[..., 0]
    shape = (*site.z.shape[: axes.z], *site.z.shape[axes.z + 1 :])
    # Squares of small weights or slopes would underflow.
    weight, slope = (_or_one(jnp.max(jnp.abs(a))) for a in (kernel, slopes))
    squares = linear(jnp.square(kernel / weight), jnp.ones(shape, jnp.float32))
    each = (jnp.square(slopes / slope) * squares[None]).reshape(len(slopes), -1)
    count = min(prod(shape), squares.size)
    return weight * slope * jnp.sqrt(jnp.sum(each, axis=1) / count)


def _or_one(value: jax.Array) -> jax.Array:
    return jnp.where(value == 0, 1, value)
