"""Singular values of the Jacobian of each site of any traced model."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from glorot_jax.diagnosis.arrays import Array, of_backend, stacked
from glorot_jax.diagnosis.measuring.lanczos import (
    MATVECS,
    Bidiagonal,
    Operator,
    bidiagonal,
    or_one,
    signs,
    vectors_kept,
)
from glorot_jax.diagnosis.measuring.moments import all_nan
from glorot_jax.diagnosis.measuring.spectra import (
    BINS,
    Spectrum,
    exact_summary,
    ritz,
    singular_values_of,
    summary,
    unknown,
)
from glorot_jax.diagnosis.measuring.wide import magnitude
from glorot_jax.diagnosis.tracing.convolutions import in_standard_layout
from glorot_jax.diagnosis.tracing.jaxpr import Read, bind, evaluate
from glorot_jax.diagnosis.tracing.layout import Site, flat_steps, slope_of, step_indices
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.typing import PyTree

EXACT_UP_TO = 64
MEMORY = 64 * 2**20
_FLOAT = 4  # bytes
_AT_WORK = 4  # vectors beside those that are held


def site_spectra(
    traced: Traced,
    /,
    *,
    exact_up_to: int = EXACT_UP_TO,
    matvecs: int = MATVECS,
    num_vectors: int = 1,
    bins: int = BINS,
    memory: int = MEMORY,
    examples: int | None = None,
    sites: Collection[int] | None = None,
) -> Callable[[PyTree, PyTree, np.random.Generator], Mapping[str, np.ndarray]]:
    """Singular values of the Jacobian of one example across every row of ``traced.rows()``.

    Returns a function of (params, x, random), whose programs are made at its first call.
    J is from the input z of the site to the elementwise function that follows its s, diag(f'(s)) W
    for a dense layer (section 4.2.1), or to s where there is none. float32, except ``exact``. Each
    array's first axis is the row; values are averages over the examples x, and are explained at
    ``spectra.Spectrum``:
      sigma_mean, sigma_mean_error, sigma_mean_square (always exact), sigma_max, sigma_max_error,
      sigma_min, condition, exact (bool): [rows]. density [rows, bins], edges [rows, bins + 1].
    NaN, all of a row, at an embedding, in a branch not taken, and where a site shares the axis of
    its examples with something else, or a reshape after its product does.

    Args:
      exact_up_to: a Jacobian with at most this many singular values is decomposed exactly. One
        matrix of that many rows is held, and examples are done one after the other.
      matvecs, num_vectors: Lanczos steps from each start vector, and start vectors an example.
      memory: bytes that the Lanczos vectors may take: matvecs (inputs + outputs) floats a start
        vector, as many of them at once as fit. Beside them there are the signals of one forward
        pass, as many slopes and a copy of the kernels.
      examples: how many, the first ones, and sites: their indices; of the others all is NaN.
    """
    how = _How(exact_up_to, matvecs, num_vectors, bins, memory)
    wanted = range(len(traced.sites)) if sites is None else sites
    alike = [
        (some, axes)
        for indices, axes in _alike(traced.sites)
        if (some := [index for index in indices if index in wanted])
    ]
    axes_of = {index: axes for indices, axes in alike for index in indices}
    layers_of = _layers(traced, axes_of, examples)
    products_of = [(indices, _products(traced.sites[indices[0]], axes)) for indices, axes in alike]

    def measure(params: PyTree, x: PyTree, random: np.random.Generator) -> Mapping[str, np.ndarray]:
        layers = jax.tree.map(of_backend, layers_of(params, x))
        # As many as there are sites, so that what is drawn at one doesn't hang on which are wanted.
        randoms = random.spawn(len(traced.sites))
        spectra = [stacked([unknown(bins)] * prod(site.steps)) for site in traced.sites]
        for indices, products in products_of:
            for index in indices:
                spectra[index] = _of_steps(
                    traced.sites[index], products, layers[index], randoms[index], how
                )
        return named(traced.layout.to_rows(spectra))

    return measure


@dataclass(frozen=True)
class _How:
    exact_up_to: int
    matvecs: int
    num_vectors: int
    bins: int
    memory: int


@dataclass(frozen=True)
class _Axes:
    """Those of the examples."""

    z: int
    s: int


class _Layer(NamedTuple):
    """What the Jacobians of one site are made of, in single precision.

    ``kernel``: with the axes of the steps that it differs along. ``slopes``: f'(s) as flat real
    numbers, [steps, examples, outputs]; 1 without an activation, all NaN at a step not taken.
    """

    kernel: Array
    slopes: Array


@dataclass(frozen=True)
class _Products:
    """Those of the Jacobians of alike sites, compiled for any kernel and slopes [n, outputs].

    ``apply``: (kernel, slopes, z [n, inputs]) to [n, outputs]. ``transpose``: back. Complex values
    count as two real ones.
    """

    apply: Callable[[Array, Array, Array], Array]
    transpose: Callable[[Array, Array, Array], Array]
    inputs: int
    outputs: int

    def operator(self, kernel: Array, slopes: Array) -> Operator:
        """Of one kernel, each example with its slopes."""
        given: tuple[Array, Array] = jax.device_put((kernel, slopes))
        return Operator(
            lambda v: of_backend(self.apply(*given, v)),
            lambda u: of_backend(self.transpose(*given, u)),
            self.inputs,
            self.outputs,
        )

    def matrix(self, kernel: Array) -> np.ndarray:
        """[outputs, inputs], of slopes 1, built along its shorter side."""
        k = min(self.inputs, self.outputs)
        short = self.operator(kernel, np.ones((k, self.outputs), np.float32))
        made = short.from_its_smaller_side().apply(np.eye(k, dtype=np.float32))
        return np.asarray(made.T if self.inputs <= self.outputs else made)


def _layers(
    traced: Traced, axes_of: Mapping[int, _Axes], examples: int | None
) -> Callable[[PyTree, PyTree], dict[int, _Layer]]:
    """(params, x) to those of each site that has axes, by one forward pass."""

    def layers(params: PyTree, x: PyTree) -> dict[int, _Layer]:
        signals = traced.run(params, x)

        def layer(index: int, axes: _Axes) -> _Layer:
            site = traced.sites[index]
            slopes = jax.vmap(partial(_slopes, site, axes, examples))
            single = jnp.complex64 if _parts(site) == 2 else jnp.float32
            kernel = signals.kernels[index].astype(single)
            return _Layer(kernel, slopes(flat_steps(site, signals.s[index])))

        return {index: layer(index, axes) for index, axes in axes_of.items()}

    return compiled_once(layers)


def _slopes(site: Site, axes: _Axes, examples: int | None, s: jax.Array) -> jax.Array:
    """f'(s) of one step, [examples, outputs]."""
    s = jnp.moveaxis(s, axes.s, 0)[:examples]
    slope = jnp.ones(s.shape, jnp.float32)
    if site.activation is not None:
        slope = slope_of(site.activation, s).astype(jnp.float32)
    flat = jnp.where(all_nan(s), jnp.nan, slope).reshape(len(s), -1)
    return jnp.repeat(flat, _parts(site), axis=1)


def _parts(site: Site) -> int:
    """Real numbers in a value of s."""
    return 2 if jnp.issubdtype(site.kernel.dtype, jnp.complexfloating) else 1


def _of_steps(
    site: Site, products: _Products, layer: _Layer, random: np.random.Generator, how: _How
) -> Spectrum:
    """Spectra [steps]."""
    found = []
    for step, slopes in zip(step_indices(site), layer.slopes, strict=True):
        own = tuple(i for i, varies in zip(step, site.kernel_varies, strict=True) if varies)
        kernel = layer.kernel[own]
        if np.isnan(slopes).all():
            found.append(unknown(how.bins))
        elif min(products.inputs, products.outputs) <= how.exact_up_to:
            # Without an activation all examples have the same Jacobian.
            each = np.asarray(slopes)[: 1 if site.activation is None else None, :, None]
            matrix = products.matrix(kernel)
            values = singular_values_of(slopes * matrix for slopes in each)
            found.append(exact_summary(values, bins=how.bins))
        else:
            found.append(_by_lanczos(products, kernel, slopes, random, how))
    return stacked(found)


def _by_lanczos(
    products: _Products, kernel: Array, slopes: Array, random: np.random.Generator, how: _How
) -> Spectrum:
    n, k = len(slopes), min(products.inputs, products.outputs)
    vectors = vectors_kept(k, how.matvecs) + _AT_WORK
    of_one_vector = _FLOAT * vectors * (products.inputs + products.outputs)
    count = n * how.num_vectors
    # As few turns as memory allows, all of one size, so that one program does for all.
    turns = ceil(count / max(1, how.memory // of_one_vector))
    begun = np.arange(ceil(count / turns) * turns).reshape(turns, -1) % count
    found, rms = [], []
    for examples in begun // how.num_vectors:
        operator = products.operator(kernel, slopes[examples])
        start = of_backend(signs(random, (len(examples), k)))
        found.append(bidiagonal(operator, start, matvecs=how.matvecs))
        rms.append(_rms(products, kernel, slopes[examples]))

    def of_each(values: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(values)[:count].reshape(n, how.num_vectors, *values[0].shape[1:])

    steps = Bidiagonal(
        of_each([one.diagonal for one in found]), of_each([one.above for one in found]), k
    )
    # Fewer units let something through than there are singular values.
    singular = np.asarray((slopes != 0).sum(axis=1)) < k
    return summary(ritz(steps), of_each(rms)[:, 0], singular, bins=how.bins)


def _rms(products: _Products, kernel: Array, slopes: Array) -> np.ndarray:
    """Root mean square singular value of each example's Jacobian, [n], by Frobenius' norm.

    An output is a sum of inputs times one weight each, so squared weights and inputs of 1 give
    the squared norms of W's rows.
    """
    sizes = magnitude(kernel)
    # Squares of small weights or slopes would underflow.
    weight, slope = (or_one(abs(a).max()) for a in (sizes, slopes))
    squares = ((sizes / weight) ** 2).astype(kernel.dtype)
    ones = np.ones((len(slopes), products.inputs), np.float32)
    norms = of_backend(products.apply(squares, (slopes / slope) ** 2, ones)).sum(axis=1)
    k = min(products.inputs, products.outputs)
    return np.asarray(weight * slope * np.sqrt(norms / k), np.float64)


def named(spectrum: Spectrum) -> dict[str, np.ndarray]:
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


def _alike(sites: Sequence[Site]) -> list[tuple[list[int], _Axes]]:
    """The indices of the sites that have a Jacobian, those of one linear operation together."""
    groups: dict[Any, tuple[list[int], _Axes]] = {}
    for index, site in enumerate(sites):
        if site.kind == "embedding" or site.z_axis is None or site.s_axis is None:
            continue
        if site.others or (_parts(site) == 2 and site.activation is not None):
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
    one = jax.ShapeDtypeStruct(_shape_of_one(site, axes), jnp.float32)
    kernel = jax.ShapeDtypeStruct(site.kernel.shape, jnp.float32)
    try:
        jax.eval_shape(_linear_part(site, axes), kernel, one)
    except ValueError:
        return False
    return True


def _shape_of_one(site: Site, axes: _Axes) -> tuple[int, ...]:
    """That of one example's z."""
    return (*site.z.shape[: axes.z], *site.z.shape[axes.z + 1 :])


def _products(site: Site, axes: _Axes) -> _Products:
    shape = _shape_of_one(site, axes)
    parts = _parts(site)
    linear = _linear_part(site, axes)

    def flat(kernel: jax.Array, z: jax.Array) -> jax.Array:
        if parts == 1:
            return linear(kernel, z.reshape(shape)).ravel()
        z = z.reshape(*shape, 2)
        s = linear(kernel, jax.lax.complex(z[..., 0], z[..., 1]))
        return jnp.stack([s.real, s.imag], axis=-1).ravel()

    one = jax.ShapeDtypeStruct((prod(shape) * parts,), jnp.float32)

    def apply(kernel: jax.Array, slopes: jax.Array, z: jax.Array) -> jax.Array:
        return jax.vmap(partial(flat, kernel))(z) * slopes

    def transpose(kernel: jax.Array, slopes: jax.Array, s: jax.Array) -> jax.Array:
        (back,) = jax.vmap(jax.linear_transpose(partial(flat, kernel), one))(s * slopes)
        return back

    outputs = prod(site.s.shape) // site.s.shape[axes.s] * parts
    apply, transpose = (compiled_once(in_standard_layout(one)) for one in (apply, transpose))
    return _Products(apply, transpose, one.size, outputs)


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
