"""Singular values of the Jacobian of a whole model: from its input, and from every site's s."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap

from glorot_jax.diagnosis.measuring.lanczos import (
    BINS,
    MATVECS,
    Bidiagonal,
    Spectrum,
    bidiagonal,
    exact_summary,
    ritz,
    summary,
)
from glorot_jax.diagnosis.measuring.moments import mean_square
from glorot_jax.diagnosis.measuring.site_jacobians import (
    EXACT_UP_TO,
    named,
    nothing,
    singular_values_of,
)
from glorot_jax.diagnosis.measuring.wide import Wide
from glorot_jax.diagnosis.tracing.convolutions import in_standard_layout
from glorot_jax.diagnosis.tracing.layout import Site, flat_steps, step_indices
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.typing import PyTree


def end_to_end(
    traced: Traced,
    params: PyTree,
    x: PyTree,
    key: jax.Array,
    /,
    *,
    exact_up_to: int = EXACT_UP_TO,
    matvecs: int = MATVECS,
    num_vectors: int = 1,
    bins: int = BINS,
    cotangents: int | None = None,
) -> Mapping[str, jax.Array]:
    """Singular values of one example's logits as a function of its input, and of every s.

    Returns the arrays of ``site_spectra`` of d logits / d x, without the axis of rows, and
    ``s_sigma_mean``, ``s_sigma_max``, ``s_sigma_mean_square`` [rows] of d logits / d s: how much
    of a small change at each row reaches the output. Averages over the examples. For token ids x
    the input is what the embeddings look up. NaN where x is of integers without an embedding, at
    an s whose examples can't be told from something else, and in a branch not taken. Examples are
    taken not to see each other, as they do in a batch norm that trains. Pure, for ``jit`` and for
    ``vmap`` over seeds.

    Args:
      exact_up_to: up to as many logits an example all values are exact, from one backward pass a
        logit; these are held, logits times as much as x and all s.
      matvecs, num_vectors: of Lanczos elsewhere, for all examples at once; its vectors take matvecs
        times as much as x or a single s. The rows are then done one after the other.
      cotangents: of more logits than that, so many random ones in the place of Lanczos: each is one
        backward pass for all rows, and only the mean squares are known then, with a relative
        standard error of at most sqrt(2 / (cotangents examples)).
    """
    if not _has_examples_first(traced, x):
        nowhere = traced.layout.to_rows([nothing(prod(one.steps), bins) for one in traced.sites])
        return _together(jax.tree.map(lambda a: a[0], nothing(1, bins)), nowhere)
    flat, structure = jax.tree.flatten(x)
    moving = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in flat]

    def run(inputs: list[jax.Array], changes: tuple[jax.Array, ...]) -> tuple[jax.Array, Any]:
        given = iter(inputs)
        leaves = [next(given) if moves else a for moves, a in zip(moving, flat, strict=True)]
        signals = traced.run(params, jax.tree.unflatten(structure, leaves), changes)
        return by_example(signals.outputs, traced.n), signals.s

    inputs = [leaf for moves, leaf in zip(moving, flat, strict=True) if moves]
    logits, backward, s = jax.vjp(run, inputs, traced.perturbations(), has_aux=True)
    if logits.shape[1] <= exact_up_to:
        spectrum = _exactly(backward, logits, bins)
    elif cotangents is not None:
        return _by_cotangents(traced, backward, inputs, logits, s, key, cotangents, bins)
    else:
        spectrum = _by_lanczos(
            backward, logits, matvecs=matvecs, num_vectors=num_vectors, bins=bins
        )

    of_input, of_rows = jax.random.split(key)
    whole = jax.tree.map(lambda a: a[0], nothing(1, bins))
    if _has_input(traced, inputs):
        whole = spectrum(partial(_of_input, traced), jnp.zeros(0, jnp.int32), of_input)
    sites = []
    for index, site in enumerate(traced.sites):
        count = prod(site.steps)
        if site.s_axis is None or not site.differentiable:
            sites.append(nothing(count, bins))
            continue
        keys = jax.random.split(jax.random.fold_in(of_rows, index), count)
        row = partial(_of_row, index, site.s_axis)
        each = jax.lax.map(lambda step, row=row: spectrum(row, *step), (_steps(site), keys))
        sites.append(_where_taken(site, s[index], each, bins))
    return _together(whole, traced.layout.to_rows(sites))


def _steps(site: Site) -> jax.Array:
    """[steps, scans], the index of each step."""
    steps = np.array(step_indices(site), np.int32)
    return jnp.asarray(steps.reshape(prod(site.steps), -1))


def _where_taken(site: Site, s: jax.Array, each: Spectrum, bins: int) -> Spectrum:
    count = prod(site.steps)
    taken = ~jnp.isnan(flat_steps(site, s)).reshape(count, -1).all(axis=1)
    made: Spectrum = jax.tree.map(partial(_where, taken), each, nothing(count, bins))
    return made


def _has_examples_first(traced: Traced, x: PyTree) -> bool:
    """Whether every input and output is one for each example."""
    leaves = jax.tree.leaves((x, traced.outputs))
    return all(leaf.shape[:1] == (traced.n,) for leaf in leaves)


def _together(whole: Spectrum, rows: Spectrum) -> dict[str, jax.Array]:
    of_s = ("sigma_mean", "sigma_max", "sigma_mean_square")
    by_name = named(rows)
    return {**named(whole), **{f"s_{name}": by_name[name] for name in of_s}}


_Cotangents = tuple[list[jax.Array], tuple[jax.Array, ...]]
COTANGENTS = 8
# (cotangents of the inputs and the perturbations, index of a step) to those of one part, [n, size].
_Part = Callable[[_Cotangents, jax.Array], jax.Array]
_PartSpectrum = Callable[[_Part, jax.Array, jax.Array], Spectrum]


def _has_input(traced: Traced, inputs: Sequence[jax.Array]) -> bool:
    looked_up = [site.s_axis for site in traced.sites if site.kind == "embedding"]
    return bool(inputs or looked_up) and (bool(inputs) or None not in looked_up)


def _of_input(traced: Traced, cotangents: _Cotangents, _: jax.Array) -> jax.Array:
    of_inputs, of_changes = cotangents
    parts = [_examples_first(a, 0) for a in of_inputs] or [
        _examples_first(a, len(site.steps) + (site.s_axis or 0))
        for site, a in zip(traced.sites, of_changes, strict=True)
        if site.kind == "embedding"
    ]
    return jnp.concatenate(parts, axis=1)


def _of_row(index: int, axis: int, cotangents: _Cotangents, step: jax.Array) -> jax.Array:
    return _examples_first(cotangents[1][index][tuple(step)], axis)


def by_example(outputs: PyTree, n: int) -> jax.Array:
    """The real numbers that the model computes of each example, [n, outputs]."""
    leaves = [leaf for leaf in jax.tree.leaves(outputs) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.concatenate([Wide(leaf).parts.reshape(n, -1) for leaf in leaves], axis=1)


def _examples_first(values: jax.Array, axis: int) -> jax.Array:
    """[n, size] in float32."""
    moved = jnp.moveaxis(values, axis, 0)
    return Wide(moved).parts.reshape(len(moved), -1)


def _where(known: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.where(known.reshape(-1, *[1] * (a.ndim - 1)), a, b)


def _exactly(
    backward: Callable[[jax.Array], _Cotangents], logits: jax.Array, bins: int
) -> _PartSpectrum:
    def one_logit(chosen: jax.Array) -> _Cotangents:
        return in_standard_layout(backward)(jnp.broadcast_to(chosen, logits.shape))

    every = jax.lax.map(one_logit, jnp.eye(logits.shape[1], dtype=jnp.float32))

    def spectrum(part: _Part, step: jax.Array, _: jax.Array) -> Spectrum:
        jacobians = jax.vmap(part, in_axes=(0, None), out_axes=1)(every, step)
        return exact_summary(jax.lax.map(singular_values_of, jacobians), bins=bins)

    return spectrum


def _by_cotangents(
    traced: Traced,
    backward: Callable[[jax.Array], _Cotangents],
    inputs: Sequence[jax.Array],
    logits: jax.Array,
    s: Sequence[jax.Array],
    key: jax.Array,
    count: int,
    bins: int,
) -> dict[str, jax.Array]:
    """E |J' g|^2 = |J|^2 for random signs g: Hutchinson's estimate of the sum of squares."""

    def mean_squares(part: _Part, cotangents: _Cotangents, steps: jax.Array) -> jax.Array:
        def one(step: jax.Array) -> jax.Array:
            pulled = part(cotangents, step)
            # Of so many values as there are singular ones.
            return mean_square(pulled) * pulled.shape[1] / min(pulled.shape[1], logits.shape[1])

        return jax.lax.map(one, steps)

    seen = [site.s_axis is not None and site.differentiable for site in traced.sites]

    def one_cotangent(key: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        pulled = in_standard_layout(backward)(
            jax.random.rademacher(key, logits.shape, logits.dtype)
        )
        whole = jnp.array([jnp.nan])
        if _has_input(traced, inputs):
            whole = mean_squares(partial(_of_input, traced), pulled, jnp.zeros((1, 0), jnp.int32))
        rows = [
            mean_squares(partial(_of_row, index, site.s_axis or 0), pulled, _steps(site))
            if known
            else jnp.full(prod(site.steps), jnp.nan)
            for index, (site, known) in enumerate(zip(traced.sites, seen, strict=True))
        ]
        return whole, rows

    drawn = jax.lax.map(one_cotangent, jax.random.split(key, count))
    whole, rows = jax.tree.map(lambda a: jnp.mean(a, axis=0), drawn)
    sites = [
        _where_taken(site, of_site, nothing(len(row), bins)._replace(mean_square=row), bins)
        for site, of_site, row in zip(traced.sites, s, rows, strict=True)
    ]
    input_to_output = jax.tree.map(lambda a: a[0], nothing(1, bins)._replace(mean_square=whole))
    return _together(input_to_output, traced.layout.to_rows(sites))


def _by_lanczos(
    backward: Callable[[jax.Array], _Cotangents],
    logits: jax.Array,
    *,
    matvecs: int,
    num_vectors: int,
    bins: int,
) -> _PartSpectrum:
    n, outputs = logits.shape

    def spectrum(part: _Part, step: jax.Array, key: jax.Array) -> Spectrum:
        def back(context: Any, g: jax.Array) -> jax.Array:
            backward, step = context
            return part(in_standard_layout(backward)(g), step)

        def forth(context: Any, v: jax.Array) -> jax.Array:
            # Not a jvp, which a custom_vjp doesn't have.
            return jax.linear_transpose(partial(back, context), logits)(v)[0]

        context = backward, step
        like = jax.eval_shape(back, context, logits)
        short = min(outputs, like.shape[1])
        apply, transpose = (back, forth) if short == outputs else (forth, back)
        product = _of_one_example(apply, transpose, n)
        start = jax.ShapeDtypeStruct((short,), jnp.float32)

        def one_example(key: jax.Array) -> Bidiagonal:
            return bidiagonal(partial(product, context), start, key, matvecs=matvecs)

        steps = jax.lax.map(jax.vmap(one_example), jax.random.split(key, (num_vectors, n)))
        values = jax.vmap(jax.vmap(ritz))(steps)
        return summary(jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), values), bins=bins)

    return spectrum


def _of_one_example(
    apply: Callable[[Any, jax.Array], jax.Array],
    transpose: Callable[[Any, jax.Array], jax.Array],
    n: int,
) -> Callable[[Any, jax.Array], jax.Array]:
    """A linear operator on all of n examples, as one on each: ``vmap`` of it calls ``apply`` once.

    Examples don't see each other, so that what goes into one comes out of that one alone.
    """

    def one(function: Callable[[Any, jax.Array], jax.Array]) -> Any:
        @custom_vmap
        def of_one(context: Any, v: jax.Array) -> jax.Array:
            return function(context, jnp.broadcast_to(v, (n, *v.shape)))[0]

        @of_one.def_vmap
        def _(size: int, batched: Any, context: Any, v: jax.Array) -> tuple[jax.Array, bool]:
            return function(context, v), True

        return of_one

    forward, back = one(apply), one(transpose)
    product = jax.custom_vjp(lambda context, v: forward(context, v))
    product.defvjp(
        lambda context, v: (forward(context, v), context),
        lambda context, g: (None, back(context, g)),
    )
    return product
