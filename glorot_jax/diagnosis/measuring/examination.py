"""One pass over a model for its judgement: sites, stations, and each parameter's gradient."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from glorot_jax.diagnosis.measuring.audit import accounted, unaccounted
from glorot_jax.diagnosis.measuring.moments import by_example, largest, mean_square, norm
from glorot_jax.diagnosis.measuring.site_statistics import (
    Groups,
    as_rows,
    at_each_site,
    shown_at_each_site,
)
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.diagnosis.tracing.stations import Key, Landmarks, Station, find_landmarks
from glorot_jax.typing import ApplyFn, Loss, PyTree


class Piece(NamedTuple):
    """What a pass over some of the examples shows, in a form that can be merged with others.

    ``groups``: as ``shown_at_each_site``. ``gradient``: of the summed cost; ``seen``: the part of
    it that comes by the sites. The rest as ``Examined``.
    """

    groups: Groups
    outputs: PyTree
    costs: jax.Array
    gradient: PyTree
    seen: Sequence[jax.Array]
    size: Mapping[Key, jax.Array]
    sensitivity: Mapping[Key, jax.Array]
    softmaxes: Mapping[Key, Mapping[str, jax.Array]]


class Examined(NamedTuple):
    """What one pass shows of one net.

    ``rows``: [rows, ..] by name, as ``full_site_statistics``. ``outputs`` and ``costs`` [n].
    ``gradient``: of the mean cost, shaped like the float parameters, None in the place of others.
    ``size``, ``sensitivity``: by station, [steps]: the rms of its values, and the mean over the
    examples of norm(v) norm(dC/dv). ``softmaxes``: by place, ``entropy`` and ``spread`` [steps].
    ``unseen``: of each float parameter, the share of its gradient that sites don't account for.
    """

    rows: Mapping[str, jax.Array]
    outputs: PyTree
    costs: jax.Array
    gradient: PyTree
    size: Mapping[Key, jax.Array]
    sensitivity: Mapping[Key, jax.Array]
    softmaxes: Mapping[Key, Mapping[str, jax.Array]]
    unseen: Sequence[jax.Array]


@dataclass(frozen=True)
class Examination:
    """A traced model with its landmarks, ready to be examined. A pure function of its arguments.

    ``differentiable``: whether JAX takes a gradient in its parameters; through a bare while it
    takes none, and ``gradient`` is then all 0.
    """

    traced: Traced
    landmarks: Landmarks
    loss: Loss
    bins: int
    differentiable: bool = True

    def __call__(self, params: PyTree, x: PyTree, y: PyTree, /) -> Examined:
        """One forward and one backward pass; for ``jit`` and for maps over nets."""
        rows, piece = self._pass(at_each_site, params, x, y)
        return _examined(rows, piece)

    def piece(self, params: PyTree, x: PyTree, y: PyTree, /) -> Piece:
        """The same pass, of examples that aren't all; for ``jit``."""
        groups, piece = self._pass(shown_at_each_site, params, x, y)
        return piece._replace(groups=groups)

    def whole(self, merged: Piece, /) -> Examined:
        """What one pass would show, from the merged pieces of all examples; for ``jit``."""
        return _examined(as_rows(self.traced, merged.groups), merged)

    def _pass(
        self, measure: Callable[..., tuple[Any, Any]], params: PyTree, x: PyTree, y: PyTree
    ) -> tuple[Any, Piece]:
        """What ``measure`` sees of the sites, and the rest."""
        floats, rest = split_floats(params)
        exposed = replace(self.traced, block=self.landmarks.block)

        def total(
            floats: PyTree, perturbations: Any, stations: Mapping[Key, jax.Array]
        ) -> tuple[jax.Array, Any]:
            given = join_floats(floats if self.differentiable else _stopped(floats), rest)
            signals, seen = exposed.expose(given, x, perturbations, stations)
            costs = self.loss(signals.outputs, y)
            return jnp.sum(costs), (signals, seen, costs)

        zeros = self.landmarks.perturbations()
        (gradient, ds, dv), (signals, seen, costs) = jax.grad(total, (0, 1, 2), has_aux=True)(
            floats, self.traced.perturbations(), zeros
        )
        at_sites, kernel_gradients = measure(self.traced, signals, ds, self.bins)
        leaves = jax.tree.leaves(params)
        by_sites = accounted(self.traced.block, self.traced.sites, leaves, kernel_gradients, ds)
        n = costs.shape[0]
        sizes = {key: self._at_station(key, seen[key], dv[key], n) for key in zeros}
        piece = Piece(
            (),
            signals.outputs,
            costs,
            gradient,
            by_sites,
            {key: size for key, (size, _) in sizes.items()},
            {key: sensitivity for key, (_, sensitivity) in sizes.items()},
            {place.key: seen[place.key] for place in self.landmarks.softmaxes},
        )
        return at_sites, piece

    def _at_station(
        self, key: Key, v: jax.Array, dv: jax.Array, n: int
    ) -> tuple[jax.Array, jax.Array]:
        station = next(one for one in self.landmarks.stations if one.key == key)

        def one_step(values: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            v, dv = values
            return jnp.sqrt(mean_square(v)), _sensitivity(v, dv, station.axis, n)

        return jax.lax.map(one_step, (_flat(station, v), _flat(station, dv)))


def _examined(rows: Mapping[str, jax.Array], piece: Piece) -> Examined:
    return Examined(
        rows,
        piece.outputs,
        piece.costs,
        jax.tree.map(lambda g: g / len(piece.costs), piece.gradient),
        piece.size,
        piece.sensitivity,
        piece.softmaxes,
        unaccounted(jax.tree.leaves(piece.gradient), piece.seen),
    )


def _flat(station: Station, values: jax.Array) -> jax.Array:
    return values.reshape(-1, *values.shape[len(station.steps) :])


def _sensitivity(v: jax.Array, dv: jax.Array, axis: int | None, n: int) -> jax.Array:
    """Mean over the examples of norm(v) norm(dC/dv); of all at once where they can't be told."""
    if axis is None:
        return norm(v) * norm(dv) / n
    norms = norm(by_example(v, axis, n), axis=1), norm(by_example(dv, axis, n), axis=1)
    return jnp.mean(norms[0] * norms[1])


def examination(
    traced: Traced, loss: Loss, bins: int, *, differentiable: bool = True
) -> Examination:
    """The examination of a traced model."""
    params, _ = jax.tree.unflatten(traced.structure, range(traced.structure.num_leaves))
    parameters = len(jax.tree.leaves(params))
    marks = find_landmarks(traced.block, parameters, traced.n)
    return Examination(traced, marks, loss, bins, differentiable)


def mean_cost(apply_fn: ApplyFn[Any], loss: Loss) -> Callable[..., jax.Array]:
    """The mean cost of (params, x, y), by the model as it is given."""

    def cost(params: PyTree, x: PyTree, y: PyTree) -> jax.Array:
        return jnp.mean(loss(apply_fn(params, x), y).astype(jnp.float32))

    return cost


def differentiable(cost: Any, params: PyTree, *data: Any) -> bool:
    """Whether JAX takes the gradient of ``cost(params, *data)`` in the floats of ``params``."""
    floats, rest = split_floats(params)
    try:
        jax.eval_shape(jax.grad(lambda f, *d: cost(join_floats(f, rest), *d)), floats, *data)
    except Exception:  # of whatever kind JAX raises for it
        return False
    return True


def _stopped(tree: PyTree) -> PyTree:
    return jax.tree.map(jax.lax.stop_gradient, tree)


def split_floats(params: PyTree) -> tuple[PyTree, PyTree]:
    """Parameters that have a gradient, and the others; None where a leaf is in the other tree."""
    floats = jax.tree.map(lambda a: a if _has_gradient(a) else None, params)
    rest = jax.tree.map(lambda a: None if _has_gradient(a) else a, params)
    return floats, rest


def join_floats(floats: PyTree, rest: PyTree) -> PyTree:
    """What ``split_floats`` separated."""
    return jax.tree.map(
        lambda f, r: r if f is None else f, floats, rest, is_leaf=lambda a: a is None
    )


def _has_gradient(leaf: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.inexact))


@jax.jit
def small_update(params: PyTree, gradient: PyTree, rate: float) -> PyTree:
    """Each float leaf moved against its gradient by ``rate`` of its own size, or of 1 if it is 0.

    How far the gradient alone would go says nothing: only whether it is 0 counts here.
    """

    def moved(leaf: Any, slope: Any) -> Any:
        if slope is None:
            return leaf
        size = jnp.sqrt(mean_square(leaf))
        size = jnp.where(size > 0, size, 1.0)
        unit = jnp.sqrt(mean_square(slope / largest(slope).astype(slope.dtype)))
        step = (
            slope
            / largest(slope).astype(slope.dtype)
            / jnp.where(unit > 0, unit, 1).astype(slope.dtype)
        )
        step = jnp.conj(step) if jnp.issubdtype(slope.dtype, jnp.complexfloating) else step
        return (leaf - (rate * size).astype(leaf.dtype) * step.astype(leaf.dtype)).astype(
            leaf.dtype
        )

    return jax.tree.map(moved, params, gradient, is_leaf=lambda a: a is None)
