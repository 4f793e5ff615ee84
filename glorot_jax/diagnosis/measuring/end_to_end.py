"""Singular values of the Jacobian of a whole model: from its input, and from every site's s."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.arrays import Array, namespace, of_backend, stacked
from glorot_jax.diagnosis.measuring.lanczos import (
    MATVECS,
    Bidiagonal,
    Operator,
    bidiagonal,
    signs,
)
from glorot_jax.diagnosis.measuring.site_jacobians import EXACT_UP_TO, named
from glorot_jax.diagnosis.measuring.spectra import (
    BINS,
    Spectrum,
    exact_summary,
    ritz,
    singular_values_of,
    summary,
    unknown,
)
from glorot_jax.diagnosis.measuring.wide import Wide, is_inexact
from glorot_jax.diagnosis.tracing.convolutions import in_standard_layout
from glorot_jax.diagnosis.tracing.layout import Site, flat_steps
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.typing import PyTree

COTANGENTS = 8
# Those of the inputs, and of the perturbations of every s.
_Cotangents: TypeAlias = tuple[list[Array], tuple[Array, ...]]


def end_to_end(
    traced: Traced,
    /,
    *,
    exact_up_to: int = EXACT_UP_TO,
    matvecs: int = MATVECS,
    num_vectors: int = 1,
    bins: int = BINS,
    cotangents: int | None = None,
) -> Callable[[PyTree, PyTree, np.random.Generator], Mapping[str, np.ndarray]]:
    """Singular values of one example's logits as a function of its input, and of every s.

    Returns a function of (params, x, random), whose programs are made at its first call, to the
    arrays of ``site_spectra`` of d logits / d x, without the axis of rows, and
    ``s_sigma_mean``, ``s_sigma_max``, ``s_sigma_mean_square`` [rows] of d logits / d s: how much
    of a small change at each row reaches the output. Averages over the examples. For token ids x
    the input is what the embeddings look up. NaN where x is of integers without an embedding, at
    an s whose examples can't be told from something else, and in a branch not taken. Examples are
    taken not to see each other, as they do in a batch norm that trains.

    Args:
      exact_up_to: up to as many logits an example all values are exact, from one backward pass a
        logit; these are held, logits times as much as x and all s.
      matvecs, num_vectors: of Lanczos elsewhere, for all examples at once; its vectors take matvecs
        times as much as x or a single s. The rows are then done one after the other.
      cotangents: of more logits than that, so many random ones in the place of Lanczos: each is one
        backward pass for all rows, and only the mean squares are known then, with a relative
        standard error of at most sqrt(2 / (cotangents examples)).
    """
    linear = _linear(traced)

    def measure(params: PyTree, x: PyTree, random: np.random.Generator) -> Mapping[str, np.ndarray]:
        nothing = unknown(bins)
        spectra: Mapping[_Place | None, Spectrum] = {}
        if _has_examples_first(traced, x):
            model = linear(params, x)
            parts = _parts(traced, model)
            if model.logits.shape[1] <= exact_up_to:
                found = _exactly(model, parts.values(), bins)
            elif cotangents is not None:
                found = _by_cotangents(model, parts.values(), random, cotangents, nothing)
            else:
                found = _by_lanczos(model, parts.values(), random, matvecs, num_vectors, bins)
            spectra = dict(zip(parts, found, strict=True))
        rows = [
            stacked([spectra.get((index, step), nothing) for step in range(prod(site.steps))])
            for index, site in enumerate(traced.sites)
        ]
        of_s = named(traced.layout.to_rows(rows))
        kept = ("sigma_mean", "sigma_max", "sigma_mean_square")
        return {**named(spectra.get(None, nothing)), **{f"s_{name}": of_s[name] for name in kept}}

    return measure


class _Linear(NamedTuple):
    """A model made linear around one pass.

    ``pull``: from a cotangent of the ``logits`` [n, outputs] to those of what they are made of, in
    the ``shapes`` of these; ``push``: the other way. ``taken``: by site, whether each step is.
    """

    logits: jax.Array
    pull: Callable[[Array], _Cotangents]
    push: Callable[[_Cotangents], Array]
    shapes: _Cotangents
    taken: Sequence[np.ndarray]

    @property
    def inputs(self) -> list[Array]:
        """The shapes of what is differentiable of x."""
        return self.shapes[0]


def _linear(traced: Traced) -> Callable[[PyTree, PyTree], _Linear]:
    """(params, x) to the model made linear around them."""

    def forward(params: PyTree, x: PyTree) -> Any:
        def run(inputs: list[jax.Array], changes: tuple[jax.Array, ...]) -> tuple[jax.Array, Any]:
            given = iter(inputs)
            moved = jax.tree.map(lambda leaf: next(given) if is_inexact(leaf) else leaf, x)
            signals = traced.run(params, moved, changes)
            taken = [_taken(site, s) for site, s in zip(traced.sites, signals.s, strict=True)]
            return by_example(signals.outputs, traced.n), taken

        return jax.vjp(run, _moving(x), traced.perturbations(), has_aux=True)

    def back(backward: Any, cotangent: jax.Array) -> _Cotangents:
        made: _Cotangents = in_standard_layout(backward)(cotangent)
        return made

    def forth(backward: Any, changes: _Cotangents) -> jax.Array:
        # Not a jvp, which a custom_vjp doesn't have.
        logits = jax.eval_shape(partial(by_example, n=traced.n), traced.outputs)
        (change,) = jax.linear_transpose(partial(back, backward), logits)(changes)
        return change

    run, pull, push = (compiled_once(one) for one in (forward, back, forth))

    def linear(params: PyTree, x: PyTree) -> _Linear:
        logits, backward, taken = run(params, x)
        return _Linear(
            logits,
            lambda cotangent: jax.tree.map(of_backend, pull(backward, cotangent)),
            lambda changes: of_backend(push(backward, changes)),
            jax.eval_shape(lambda x: (_moving(x), traced.perturbations()), x),
            [np.asarray(steps) for steps in taken],
        )

    return linear


def _moving(x: PyTree) -> list[Array]:
    """What of x is differentiable."""
    return [leaf for leaf in jax.tree.leaves(x) if is_inexact(leaf)]


def _taken(site: Site, s: jax.Array) -> jax.Array:
    """Whether each step is, [steps]."""
    return ~jnp.isnan(flat_steps(site, s)).reshape(prod(site.steps), -1).all(axis=1)


def _has_examples_first(traced: Traced, x: PyTree) -> bool:
    """Whether every input and output is one for each example."""
    leaves = jax.tree.leaves((x, traced.outputs))
    return all(leaf.shape[:1] == (traced.n,) for leaf in leaves)


def _has_input(traced: Traced, inputs: Sequence[Any]) -> bool:
    looked_up = [site.s_axis for site in traced.sites if site.kind == "embedding"]
    return bool(inputs or looked_up) and (bool(inputs) or None not in looked_up)


# Of all cotangents those of one thing that the logits are made of, [n, size].
_Part: TypeAlias = Callable[[_Cotangents], Array]


_Place: TypeAlias = tuple[int, int]  # the index of a site, and of its step


def _parts(traced: Traced, model: _Linear) -> dict[_Place | None, _Part]:
    """By place what spectra are to be had of; None is the input."""
    parts: dict[_Place | None, _Part] = {}
    if _has_input(traced, model.inputs):
        parts[None] = partial(_of_input, traced)
    for index, site in enumerate(traced.sites):
        if site.s_axis is not None and site.differentiable:
            for step in np.flatnonzero(model.taken[index]).tolist():
                parts[index, step] = partial(_of_step, site, index, step)
    return parts


def _of_input(traced: Traced, cotangents: _Cotangents) -> Array:
    of_inputs, of_changes = cotangents
    parts = [_examples_first(a, 0) for a in of_inputs] or [
        _examples_first(a, len(site.steps) + (site.s_axis or 0))
        for site, a in zip(traced.sites, of_changes, strict=True)
        if site.kind == "embedding"
    ]
    return namespace(parts[0]).concatenate(parts, axis=1)


def _of_step(site: Site, index: int, step: int, cotangents: _Cotangents) -> Array:
    return _examples_first(flat_steps(site, cotangents[1][index])[step], site.s_axis or 0)


def by_example(outputs: PyTree, n: int) -> jax.Array:
    """The real numbers that the model computes of each example, [n, outputs]."""
    return jnp.concatenate([Wide(leaf).parts.reshape(n, -1) for leaf in _moving(outputs)], axis=1)


def _examples_first(values: Array, axis: int) -> Array:
    """[n, size] in float32."""
    parts = Wide(namespace(values).moveaxis(values, axis, 0)).parts
    return parts.reshape(len(parts), -1)


def _exactly(model: _Linear, parts: Iterable[_Part], bins: int) -> list[Spectrum]:
    n, outputs = model.logits.shape
    every = [
        model.pull(np.broadcast_to(chosen, (n, outputs)))
        for chosen in np.eye(outputs, dtype=np.float32)
    ]
    jacobians = (np.stack([np.asarray(part(one)) for one in every], axis=1) for part in parts)
    return [exact_summary(singular_values_of(each), bins=bins) for each in jacobians]


def _by_cotangents(
    model: _Linear,
    parts: Iterable[_Part],
    random: np.random.Generator,
    count: int,
    nothing: Spectrum,
) -> list[Spectrum]:
    """E |J' g|^2 = |J|^2 for random signs g: Hutchinson's estimate of the sum of squares."""
    n, outputs = model.logits.shape

    def mean_square_of(rows: np.ndarray) -> float:
        squares = np.einsum("nk,nk->", rows, rows, dtype=np.float64)
        # Of so many values as there are singular ones.
        return float(squares) / (n * min(rows.shape[1], outputs))

    drawn = []
    for _ in range(count):
        pulled = model.pull(signs(random, (n, outputs)))
        drawn.append([mean_square_of(np.asarray(part(pulled))) for part in parts])
    squares = np.mean(drawn, axis=0).astype(np.float32)
    return [nothing._replace(mean_square=np.asarray(square)) for square in squares]


def _by_lanczos(
    model: _Linear,
    parts: Iterable[_Part],
    random: np.random.Generator,
    matvecs: int,
    num_vectors: int,
    bins: int,
) -> list[Spectrum]:
    n, outputs = model.logits.shape

    def spectrum(part: _Part) -> Spectrum:
        size = jax.eval_shape(part, model.shapes).shape[1]
        spread = jax.jit(jax.linear_transpose(part, model.shapes))
        operator = Operator(
            lambda g: part(model.pull(g)), lambda v: model.push(spread(v)[0]), outputs, size
        )
        starts = [signs(random, (n, min(outputs, size))) for _ in range(num_vectors)]
        found = [bidiagonal(operator, of_backend(start), matvecs=matvecs) for start in starts]
        steps = Bidiagonal(
            np.stack([one.diagonal for one in found], axis=1),
            np.stack([one.above for one in found], axis=1),
            found[0].k,
        )
        return summary(ritz(steps), bins=bins)

    return [spectrum(part) for part in parts]
