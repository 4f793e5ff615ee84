"""From a pass over one net to the evidence that rules look at."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glorot_jax.diagnosis.arrays import in_double
from glorot_jax.diagnosis.judging.evidence import (
    Chain,
    Evidence,
    Input,
    Leaf,
    Output,
    Softmax,
)
from glorot_jax.diagnosis.measuring.costs import Answers, answers
from glorot_jax.diagnosis.measuring.examination import (
    Examination,
    Examined,
    mean_cost,
    small_update,
    split_floats,
)
from glorot_jax.diagnosis.measuring.nonfinite import (
    Beginning,
    first_not_finite,
    first_overflow,
    is_finite,
)
from glorot_jax.diagnosis.tracing import graph
from glorot_jax.diagnosis.tracing.graph import Route
from glorot_jax.diagnosis.tracing.landmarks import output_functions
from glorot_jax.diagnosis.tracing.sites import named_leaves
from glorot_jax.diagnosis.tracing.stations import Course, Stop
from glorot_jax.typing import ApplyFn, PyTree

# Of a parameter's own size: small, and far above the rounding of bfloat16.
UPDATE = 0.03
SAME = 1e-5
SCALE_FREE = 1e-3  # relative; chance alone gives one over the root of the entries


@dataclass(frozen=True)
class Examinee:
    """What is the same for every net: the examination, its data, and facts of the program.

    ``pieces``: (x, y) of some examples each, as many as are computed at once.
    """

    apply_fn: ApplyFn[Any]
    examination: Examination
    x: PyTree
    y: PyTree
    two_sided: np.ndarray
    pieces: Sequence[tuple[PyTree, PyTree]]
    optimizer: optax.GradientTransformation | None = None

    @cached_property
    def routes(self) -> list[Route]:
        """Of each leaf of the parameters."""
        closed = self.examination.traced.block.closed
        return graph.routes(closed)[: self.parameters]

    @cached_property
    def cost(self) -> Callable[..., jax.Array]:
        """The mean cost of (params, x, y)."""
        return mean_cost(self.apply_fn, self.examination.loss)

    @cached_property
    def parameters(self) -> int:
        """How many leaves the parameters have."""
        whole = jax.tree.leaves(self.x)
        return len(self.examination.traced.block.closed.jaxpr.invars) - len(whole)

    @cached_property
    def heads(self) -> np.ndarray:
        """[rows], whether a row feeds the output and no other row."""
        closed = self.examination.traced.block.closed
        orders = [site.order for site in self.examination.traced.sites]
        found = graph.feeding_output(closed, orders)
        layout = self.examination.traced.layout
        return np.array(layout.repeat([site.order in found for site in layout.sites]))

    @cached_property
    def first(self) -> np.ndarray:
        """[rows], whether x feeds a row through no other row."""
        closed = self.examination.traced.block.closed
        given = [i >= self.parameters for i in range(len(closed.jaxpr.invars))]
        layout = self.examination.traced.layout
        found, _ = graph.fed_by_input(closed, given, [site.order for site in layout.sites])
        return np.array(layout.repeat([site.order in found for site in layout.sites]))

    @cached_property
    def output_functions(self) -> list[str]:
        """What makes each output."""
        return output_functions(self.examination.traced.block.closed)

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The float arrays of x."""
        return tuple(
            _input(name, np.asarray(leaf))
            for name, leaf in named_leaves("x", self.x)
            if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        )


def _input(name: str, values: np.ndarray) -> Input:
    values = values.astype(np.float64)
    axis = 0 if values.ndim == 2 else None
    return Input(name, values.shape, np.mean(values, axis), np.std(values, axis))


Examine = Callable[[PyTree], Examined]


def gather(
    model: Examinee,
    params: PyTree,
    examined: Examined,
    rows: Mapping[str, np.ndarray],
    examine: Examine,
    known: Answers | None = None,
) -> Evidence:
    """The evidence of one net. ``rows``: [rows] by name, of that net; ``known``: the answers."""
    traced = model.examination.traced
    labels = tuple(row.label for row in traced.rows())
    beginning = _beginning(model, params, examined)
    opened, later = ({}, examined) if beginning else _open(params, examined, examine)
    cost = float(np.mean(np.asarray(examined.costs, np.float64)))
    outputs = tuple(
        _output(name, np.asarray(leaf), function)
        for (name, leaf), function in zip(
            named_leaves("outputs", examined.outputs), model.output_functions, strict=False
        )
    )
    found = known or answers(model.examination.loss, examined.outputs, model.y)
    return Evidence(
        labels=labels,
        names=tuple(row.name for row in traced.rows()),
        kinds=tuple(row.kind for row in traced.rows()),
        fan_in=np.array([row.fan_in for row in traced.rows()]),
        heads=model.heads,
        first=model.first,
        two_sided=model.two_sided,
        has_activation=np.array(
            traced.layout.repeat([site.activation is not None for site in traced.sites])
        ),
        of_time=np.array(
            traced.layout.repeat(
                [bool(site.steps) and not all(site.kernel_varies) for site in traced.sites]
            )
        ),
        rows=rows,
        leaves=_without_unused(
            _leaves(model, params, examined, opened, labels),
            params,
            examine,
            dead=bool(np.any(rows["dead"] == 1.0)),
        )
        if model.examination.differentiable
        else (),
        chains=_chains(model, examined if not opened else later, rows, later),
        outputs=outputs,
        inputs=model.inputs,
        softmaxes=_softmaxes(model, examined),
        cost=cost,
        answers=found,
        examples=traced.n,
        beginning=beginning,
        overflow=None if beginning else _first_of(first_overflow, model, params),
        targets=_targets(found, model.y),
        shapes=_shapes(examined.outputs, model.y),
    )


def _beginning(model: Examinee, params: PyTree, examined: Examined) -> Beginning | None:
    if is_finite(examined.gradient) and is_finite(examined.costs):
        return None
    found = _first_of(first_not_finite, model, params)
    costs = is_finite(examined.costs)
    return found or Beginning("an equation that was not found", "", backward=costs)


def _first_of(
    search: Callable[..., Beginning | None], model: Examinee, params: PyTree
) -> Beginning | None:
    """What ``search`` finds in the first piece of the examples that it finds something in."""
    found = (search(model.cost, params, x, y) for x, y in model.pieces)
    return next((one for one in found if one is not None), None)


def _open(
    params: PyTree, examined: Examined, examine: Examine
) -> tuple[dict[str, float], Examined]:
    """Norms of the gradients after a small update, or two, where some gradient is 0 at first."""
    first = _norms(examined.gradient)
    if all(first.values()) or not any(first.values()):
        return {}, examined
    largest: dict[str, float] = {}
    later = examined
    for _ in range(2):
        params = small_update(params, later.gradient, UPDATE)
        later = jax.device_get(examine(params))
        for name, norm in _norms(later.gradient).items():
            largest[name] = max(largest.get(name, 0.0), norm)
        if all(largest.values()):
            break
    return largest, later


def _norms(gradient: PyTree) -> dict[str, float]:
    return {
        name: float(np.linalg.norm(in_double(leaf)))
        for name, leaf in named_leaves("params", gradient)
    }


def _leaves(
    model: Examinee,
    params: PyTree,
    examined: Examined,
    opened: Mapping[str, float],
    labels: Sequence[str],
) -> tuple[Leaf, ...]:
    traced = model.examination.traced
    names = [row.parameters for row in traced.rows()]
    gradient = jax.tree.map(np.asarray, examined.gradient)
    gradients = dict(named_leaves("params", gradient))
    unseen = dict(zip(gradients, map(float, examined.unseen), strict=True))
    steps = _first_update(model.optimizer, params, gradient) if model.optimizer else {}
    made = []
    for (name, leaf), route in zip(named_leaves("params", params), model.routes, strict=True):
        if name not in gradients:
            continue
        mine = tuple(label for label, of in zip(labels, names, strict=True) if name in of)
        values, slope = in_double(leaf), in_double(gradients[name])
        size, slope_size = float(np.linalg.norm(values)), float(np.linalg.norm(slope))
        made.append(
            Leaf(
                name,
                np.shape(leaf),
                str(np.asarray(leaf).dtype),
                size,
                slope_size,
                opened.get(name, slope_size),
                bool(mine) and _alike(values, slope),
                route,
                mine,
                *steps.get(name, (np.nan, np.nan)),
                _scale_free(values, slope, size * slope_size),
                unseen[name],
            )
        )
    return tuple(made)


def _without_unused(
    leaves: tuple[Leaf, ...], params: PyTree, examine: Examine, *, dead: bool
) -> tuple[Leaf, ...]:
    """Kernels that no output depends on, whatever their values, count as not reached.

    What is sliced away has a way to the output by the equations, and no gradient. Kernels of 0 may
    be in each other's way, so all of them are drawn at random at once. A kernel that isn't 0 is
    tried only where one of 0 is unused and no unit is ``dead``: it may be what leads to that. By
    itself it may as well lead into a fault, such as the normalisation of a single unit.
    """
    closed = [leaf for leaf in leaves if leaf.closed and leaf.route.open and len(leaf.shape) >= 2]
    zero = frozenset(leaf.name for leaf in closed if leaf.norm == 0)
    if not zero:
        return leaves

    def outputs(drawn: Collection[str]) -> list[np.ndarray]:
        named = list(named_leaves("params", params))
        values = [
            _drawn(leaf, i) if name in drawn else leaf for i, (name, leaf) in enumerate(named)
        ]
        tree = jax.tree.unflatten(jax.tree.structure(params), values)
        return jax.tree.leaves(jax.device_get(examine(tree).outputs))

    every = outputs(zero)

    def changes_nothing(names: Collection[str]) -> set[str]:
        return {name for name in names if all(map(np.array_equal, every, outputs(zero ^ {name})))}

    unused = changes_nothing(zero)
    if unused and not dead:
        unused |= changes_nothing({leaf.name for leaf in closed} - zero)
    return tuple(replace(leaf, route=Route()) if leaf.name in unused else leaf for leaf in leaves)


def _drawn(leaf: Any, seed: int) -> jax.Array:
    values = np.random.default_rng(seed).normal(size=np.shape(leaf))
    return jnp.asarray(values, jnp.result_type(leaf))


def _scale_free(kernel: np.ndarray, gradient: np.ndarray, sizes: float) -> bool:
    """By Euler: <w, dC/dw> = 0, far below ``sizes``, norm(w) norm(dC/dw)."""
    return bool(sizes > 0 and abs(np.sum(kernel * gradient).real) < SCALE_FREE * sizes)


def _first_update(
    optimizer: optax.GradientTransformation, params: PyTree, gradient: PyTree
) -> dict[str, tuple[float, float]]:
    """By leaf: the norm of its update over its own; the share of its entries that don't move."""
    floats, _ = split_floats(params)
    updates, _ = optimizer.update(gradient, optimizer.init(floats), floats)
    after = optax.apply_updates(floats, updates)
    made = {}
    trees = (floats, updates, after)
    for (name, old), (_, update), (_, new) in zip(
        *(list(named_leaves("params", tree)) for tree in trees), strict=True
    ):
        old, update, new = (np.asarray(a) for a in (old, update, new))
        size, moved = (float(np.linalg.norm(in_double(a))) for a in (old, update))
        asked = update != 0
        stuck = float(np.mean((old == new)[asked])) if asked.any() else 0.0
        made[name] = (moved / size if size else np.nan, stuck)
    return made


def _alike(kernel: np.ndarray, gradient: np.ndarray) -> bool:
    """Whether all units, along the first or the last axis, are copies and get the same gradient."""
    if kernel.ndim < 2 or not np.any(kernel) or not np.any(gradient):
        return False
    return any(
        kernel.shape[axis] > 1
        and np.all(kernel == kernel.take([0], axis))
        and np.abs(gradient - gradient.take([0], axis)).max() <= SAME * np.abs(gradient).max()
        for axis in (-1, 0)
    )


def _chains(
    model: Examinee, examined: Examined, rows: Mapping[str, np.ndarray], later: Examined
) -> tuple[Chain, ...]:
    del examined
    return tuple(_chain(model, course, later) for course in model.examination.landmarks.courses)


def _chain(model: Examinee, course: Course, examined: Examined) -> Chain:
    traced = model.examination.traced
    places = {
        (traced.sites[index].order, count): row
        for row, (index, count) in enumerate(traced.layout.places)
    }
    steps = {site.order: site.steps for site in traced.sites}
    labels, size, sensitivity = [], [], []
    for stop in course.stops:
        row = places[stop.site, _count(stop, steps[stop.site])]
        labels.append(traced.rows()[row].label)
        if stop.key == stop.site:
            size.append(float(np.sqrt(examined.rows["s_mean_square"][row])))
            sensitivity.append(float(examined.rows["sensitivity"][row]))
        else:
            station = next(
                one for one in model.examination.landmarks.stations if one.key == stop.key
            )
            at = _count(stop, station.steps)
            size.append(float(examined.size[stop.key][at]))
            sensitivity.append(float(examined.sensitivity[stop.key][at]))
    return Chain(tuple(labels), np.array(size), np.array(sensitivity), course.of_time)


def _count(stop: Stop, steps: tuple[int, ...]) -> int:
    """The place of ``stop`` among flattened ``steps``; the last one of those it doesn't say."""
    full = (*stop.step, *(n - 1 for n in steps[len(stop.step) :]))[: len(steps)]
    return int(np.ravel_multi_index(full, steps)) if steps else 0


def _softmaxes(model: Examinee, examined: Examined) -> tuple[Softmax, ...]:
    traced = model.examination.traced
    names = {site.order: site.name for site in traced.sites}
    found = []
    for place in model.examination.landmarks.softmaxes:
        values = {
            name: np.asarray(value, np.float64).reshape(-1)
            for name, value in examined.softmaxes[place.key].items()
        }
        known = np.isfinite(values["entropy"])
        worst = int(np.argmin(np.where(known, values["entropy"], np.inf))) if known.any() else 0
        found.append(
            Softmax(
                tuple(names[order] for order in place.feeding),
                place.equation.role,
                place.size,
                float(values["entropy"][worst]),
                float(values["spread"][worst]),
                float(values["load"].max()),
            )
        )
    return tuple(found)


def _output(name: str, values: np.ndarray, function: str) -> Output:
    values = np.real(values).astype(np.float64)
    sums = values.sum(-1) if values.ndim > 1 else values
    simplex = (
        values.ndim > 1
        and values.shape[-1] > 1
        and bool(values.min() >= 0 and np.abs(sums - 1).max() < 1e-3)
    )
    return Output(
        name,
        function,
        float(values.mean()),
        float(values.std()),
        float(values.min()),
        float(values.max()),
        float(np.mean(values == 0)),
        simplex,
    )


def _targets(found: Answers, y: Any) -> tuple[float, float] | None:
    if not found.targets:
        return None
    values = np.concatenate([np.asarray(a, np.float64).reshape(-1) for a in jax.tree.leaves(y)])
    return float(values.mean()), float(values.std())


def _shapes(outputs: PyTree, y: Any) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Of one output [.., 1] and labels [..], which only broadcasting brings together."""
    made, given = ([np.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (outputs, y))
    alone = len(made) == len(given) == 1
    return (made[0], given[0]) if alone and made[0] == (*given[0], 1) else None
