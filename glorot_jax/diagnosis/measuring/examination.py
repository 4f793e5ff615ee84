"""One pass over a model for its judgement: sites, stations, and each parameter's gradient."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.arrays import Array, each
from glorot_jax.diagnosis.measuring.audit import accounted, alone, unaccounted
from glorot_jax.diagnosis.measuring.exposure import Made
from glorot_jax.diagnosis.measuring.moments import example_norms, mean_square, norm
from glorot_jax.diagnosis.measuring.site_statistics import (
    Groups,
    as_rows,
    at_each_site,
    made_at_each_site,
    on_host,
)
from glorot_jax.diagnosis.measuring.wide import Wide
from glorot_jax.diagnosis.tracing.layout import Order
from glorot_jax.diagnosis.tracing.sites import Signals, Traced
from glorot_jax.diagnosis.tracing.stations import Key, Landmarks, Station, find_landmarks
from glorot_jax.typing import ApplyFn, Loss, PyTree


class Pass(NamedTuple):
    """What one forward and one backward pass leave behind.

    ``gradient``: of the summed cost; ``seen``: the part of it that comes by the sites.
    ``stations``: the values v of each and dC/dv, by key. The rest as ``Examined``.
    """

    outputs: PyTree
    costs: jax.Array
    gradient: PyTree
    seen: Sequence[jax.Array]
    stations: Mapping[Key, tuple[jax.Array, jax.Array]]
    softmaxes: Mapping[Key, Mapping[str, jax.Array]]


class Exposed(NamedTuple):
    """A pass with all values of its sites, to be measured on the host."""

    signals: Signals
    ds: Sequence[jax.Array]
    made: Sequence[Made]
    rest: Pass


class Piece(NamedTuple):
    """What a pass over some of the examples shows, in a form that can be merged with others.

    ``groups``: as ``at_each_site``. The rest as ``Pass`` and ``Examined``.
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

    ``rows``: [rows, ..] by name, as ``site_statistics.as_rows``. ``outputs`` and ``costs`` [n].
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

    def piece(self, params: PyTree, x: PyTree, y: PyTree, /) -> Piece:
        """One forward and one backward pass, of examples that may not be all; for ``jit``."""
        signals, ds, rest = self._pass(params, x, y)
        groups, gradients = at_each_site(self.traced, signals, ds, self.bins)
        return self._piece(groups, rest._replace(seen=self._seen(params, gradients, ds)))

    def exposed(self, params: PyTree, x: PyTree, y: PyTree, /) -> Exposed:
        """The same pass with nothing of it reduced; for ``jit``, which it takes far less of."""
        signals, ds, rest = self._pass(params, x, y)
        made = made_at_each_site(self.traced, signals, ds, self._known(params, rest.gradient))
        seen = self._seen(params, [of_site.gradient for of_site in made], ds)
        return Exposed(signals._replace(outputs=None), ds, made, rest._replace(seen=seen))

    def reduced(self, exposed: Exposed, /) -> Piece:
        """What ``piece`` shows, of arrays on the host."""
        signals, ds, made, rest = exposed
        with np.errstate(all="ignore"):
            return self._piece(on_host(self.traced, signals, ds, made, self.bins), rest)

    def whole(self, merged: Piece, /) -> Examined:
        """What one pass would show, from the merged pieces of all examples."""
        with np.errstate(all="ignore"):
            return Examined(
                as_rows(self.traced, merged.groups),
                merged.outputs,
                merged.costs,
                jax.tree.map(lambda g: g / len(merged.costs), merged.gradient),
                merged.size,
                merged.sensitivity,
                merged.softmaxes,
                unaccounted(jax.tree.leaves(merged.gradient), merged.seen),
            )

    def _pass(
        self, params: PyTree, x: PyTree, y: PyTree
    ) -> tuple[Signals, Sequence[jax.Array], Pass]:
        """Signals, dC/ds, and the rest but for ``seen``."""
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
        stations = {key: (seen[key], dv[key]) for key in zeros}
        softmaxes = {place.key: seen[place.key] for place in self.landmarks.softmaxes}
        return signals, ds, Pass(signals.outputs, costs, gradient, (), stations, softmaxes)

    def _known(self, params: PyTree, gradient: PyTree) -> dict[Order, jax.Array]:
        """dC/dW by site, where the gradient of a parameter is just that."""
        if not self.differentiable:
            return {}
        # None where a leaf has no gradient; a None that ``params`` holds itself is no leaf.
        structure: Any = jax.tree.structure(params)
        leaves = structure.flatten_up_to(gradient)
        sites = alone(self.traced.block, len(leaves))
        return {site: leaves[place] for site, place in sites.items()}

    def _seen(
        self, params: PyTree, gradients: Sequence[jax.Array], ds: Sequence[jax.Array]
    ) -> list[jax.Array]:
        leaves = jax.tree.leaves(params)
        return accounted(self.traced.block, self.traced.sites, leaves, gradients, ds)

    def _piece(self, groups: Groups, rest: Pass) -> Piece:
        n = len(rest.costs)
        sizes = {key: self._at_station(key, *values, n) for key, values in rest.stations.items()}
        return Piece(
            groups,
            rest.outputs,
            rest.costs,
            rest.gradient,
            rest.seen,
            {key: size for key, (size, _) in sizes.items()},
            {key: sensitivity for key, (_, sensitivity) in sizes.items()},
            rest.softmaxes,
        )

    def _at_station(self, key: Key, v: Array, dv: Array, n: int) -> tuple[Array, Array]:
        station = next(one for one in self.landmarks.stations if one.key == key)

        def one_step(values: tuple[Array, Array]) -> tuple[Array, Array]:
            v, dv = map(Wide, values)
            return v.xp.sqrt(mean_square(v)), _sensitivity(v, dv, station.axis, n)

        return each(one_step, (_flat(station, v), _flat(station, dv)))


def _flat(station: Station, values: Array) -> Array:
    return values.reshape(-1, *values.shape[len(station.steps) :])


def _sensitivity(v: Wide, dv: Wide, axis: int | None, n: int) -> Array:
    """Mean over the examples of norm(v) norm(dC/dv); of all at once where they can't be told."""
    if axis is None:
        return norm(v) * norm(dv) / n
    return v.xp.mean(example_norms(v, axis, n) * example_norms(dv, axis, n))


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
        unit = jnp.sqrt(mean_square(slope / Wide(slope).scale.astype(slope.dtype)))
        step = (
            slope
            / Wide(slope).scale.astype(slope.dtype)
            / jnp.where(unit > 0, unit, 1).astype(slope.dtype)
        )
        step = jnp.conj(step) if jnp.issubdtype(slope.dtype, jnp.complexfloating) else step
        return (leaf - (rate * size).astype(leaf.dtype) * step.astype(leaf.dtype)).astype(
            leaf.dtype
        )

    return jax.tree.map(moved, params, gradient, is_leaf=lambda a: a is None)
