"""What a watched run measures at one update: sites, attention, and what the update changes.

One forward and one backward pass over the batch, reduced in the program that makes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from glorot_jax.activations import SATURATED_SLOPE
from glorot_jax.diagnosis.measuring.examination import split_floats
from glorot_jax.diagnosis.measuring.in_passing import Passed, loops, statistics_in_passing
from glorot_jax.diagnosis.measuring.moments import largest, magnitude
from glorot_jax.diagnosis.measuring.site_statistics import slope_of, statistics_of_pass
from glorot_jax.diagnosis.tracing.layout import Block, Site
from glorot_jax.diagnosis.tracing.sites import Traced, named_leaves
from glorot_jax.diagnosis.tracing.stations import Landmarks
from glorot_jax.typing import Loss, PyTree

FAR = 1490.0  # where a function that levels off has done so


class Measured(NamedTuple):
    """``rows``: [rows] or [rows, quantile] by name; ``overall``: numbers of the whole net."""

    rows: Mapping[str, jax.Array]
    overall: Mapping[str, jax.Array]


def statistics_of_update(
    traced: Traced,
    landmarks: Landmarks,
    params: PyTree,
    updates: PyTree | None,
    x: PyTree,
    y: PyTree,
    /,
    *,
    loss: Loss,
) -> Measured:
    """``site_statistics`` of params at (x, y), and of ``updates``, what is added to params.

    Beside those of ``site_statistics`` there are [rows], NaN where there is nothing to say:
      two_sided: 1 where the function that follows levels off on both sides, as tanh does, else 0.
      attention_entropy: of the attention whose scores the site feeds, the mean entropy over ln of
        the entries that aren't masked; the lowest where it feeds several.
      step: norm of the kernel's update over its own; unmoved: the share of its entries that the
        update asks to change and that are the same after it, in their type. Of the layer's own
        part where kernels of a scan are stacked. parameter_norm: the norm that step is relative
        to, of the parameter itself where the kernel is made of it.
    ``overall`` has loss, the mean cost of (x, y), and step over all float parameters.
    """
    traced.check(params, x)
    pass_over = statistics_in_passing if loops(traced.sites) else _all_at_once
    passed, costs, seen = pass_over(traced, landmarks.block, params, x, y, loss=loss)
    softmaxes = {place.key: seen[place.key]["entropy"] for place in landmarks.softmaxes}
    sizes = update_sizes(params, updates)
    rows = {
        **passed,
        "two_sided": _constant(traced, [_levels_off(site) for site in traced.sites]),
        "attention_entropy": _attention_entropy(traced, landmarks, softmaxes),
        **_steps(traced, sizes),
    }
    overall = {"loss": jnp.mean(costs.astype(jnp.float32)), "step": _overall_step(sizes)}
    return Measured(rows, overall)


_OF_PARAMETERS = ("step", "unmoved", "parameter_norm")


def _all_at_once(
    traced: Traced, block: Block, params: PyTree, x: PyTree, y: PyTree, /, *, loss: Loss
) -> Passed:
    """Without loops the way back needs the signals of all sites; alike ones share one program."""
    exposed = replace(traced, block=block)

    def total(perturbations: tuple[jax.Array, ...]) -> tuple[jax.Array, Any]:
        signals, seen = exposed.expose(params, x, perturbations, {})
        costs = loss(signals.outputs, y)
        return jnp.sum(costs), (signals, seen, costs)

    ds, (signals, seen, costs) = jax.grad(total, has_aux=True)(traced.perturbations())
    return Passed(statistics_of_pass(traced, signals, ds), costs, seen)


class Sizes(NamedTuple):
    """One parameter and its update, elementwise in float32, each over its own largest value.

    ``asked``, ``moved``: whether the update is not 0, and whether the entry is another after it.
    """

    kernel: jax.Array
    update: jax.Array
    kernel_unit: jax.Array
    update_unit: jax.Array
    asked: jax.Array
    moved: jax.Array


def update_sizes(params: PyTree, updates: PyTree | None) -> dict[str, Sizes]:
    """By the name of each float parameter; none without updates."""
    if updates is None:
        return {}
    floats, _ = split_floats(params)
    theirs, _ = split_floats(updates)
    after = optax.apply_updates(floats, theirs)
    trees = [list(named_leaves("params", tree)) for tree in (floats, theirs, after)]
    made = {}
    for (name, old), (_, update), (_, new) in zip(*trees, strict=True):
        units = largest(old), largest(update)
        made[name] = Sizes(
            magnitude(old) / units[0], magnitude(update) / units[1], *units, update != 0, old != new
        )
    return made


def _overall_step(sizes: Mapping[str, Sizes]) -> jax.Array:
    return (
        _over_parameters(list(sizes.values()), ())["step"]
        if sizes
        else jnp.array(jnp.nan, jnp.float32)
    )


def _steps(traced: Traced, sizes: Mapping[str, Sizes]) -> dict[str, jax.Array]:
    """What is said of the parameters that each row's kernel is made of."""
    by_site = []
    for site in traced.sites:
        varying = tuple(
            n for n, varies in zip(site.steps, site.kernel_varies, strict=True) if varies
        )
        names = site.name.split(" #")[0].split("+")
        mine = [sizes[name] for name in names if name in sizes]
        if mine:
            own = _over_parameters(mine, varying)
        else:
            own = dict.fromkeys(_OF_PARAMETERS, jnp.full(varying, jnp.nan, jnp.float32))
        by_site.append({name: _at_each_step(site, values) for name, values in own.items()})
    return dict(traced.layout.to_rows(by_site))


def _over_parameters(sizes: Sequence[Sizes], varying: tuple[int, ...]) -> dict[str, jax.Array]:
    """Of some parameters together [*varying]: each layer by itself where they are stacked so."""
    kernel, update, asked, stuck = (jnp.zeros(varying, jnp.float32) for _ in range(4))
    for one in sizes:
        stacked = one.kernel.shape[: len(varying)] == varying
        axes = tuple(range(len(varying) if stacked else 0, one.kernel.ndim))
        kernel = jnp.hypot(kernel, one.kernel_unit * _norm(one.kernel, axes, varying))
        update = jnp.hypot(update, one.update_unit * _norm(one.update, axes, varying))
        still = one.asked & ~one.moved
        asked += _spread(jnp.sum(one.asked.astype(jnp.float32), axes), varying)
        stuck += _spread(jnp.sum(still.astype(jnp.float32), axes), varying)
    return {
        "step": update / jnp.where(kernel > 0, kernel, jnp.nan),
        "unmoved": stuck / jnp.maximum(asked, 1.0),
        "parameter_norm": kernel,
    }


def _norm(values: jax.Array, axes: tuple[int, ...], varying: tuple[int, ...]) -> jax.Array:
    return _spread(jnp.sqrt(jnp.sum(jnp.square(values), axes)), varying)


def _spread(values: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return values if values.shape == shape else jnp.broadcast_to(values.reshape(()), shape)


def _at_each_step(site: Site, values: jax.Array) -> jax.Array:
    """[*the steps that the kernel differs between], as [count of steps]."""
    lengths = [n if varies else 1 for n, varies in zip(site.steps, site.kernel_varies, strict=True)]
    return jnp.broadcast_to(values.reshape(lengths), site.steps).reshape(-1)


def _attention_entropy(
    traced: Traced, landmarks: Landmarks, softmaxes: Mapping[Any, jax.Array]
) -> jax.Array:
    attentions = [place for place in landmarks.softmaxes if place.equation.role == "attention"]
    by_site = []
    for site in traced.sites:
        lowest = jnp.full(site.steps, jnp.nan, jnp.float32)
        for place in attentions:
            if site.order in place.feeding and place.steps == site.steps:
                lowest = jnp.fmin(lowest, softmaxes[place.key].astype(jnp.float32))
        by_site.append(lowest.reshape(-1))
    return traced.layout.to_rows(by_site)


def _constant(traced: Traced, by_site: Sequence[jax.Array]) -> jax.Array:
    steps = [
        jnp.broadcast_to(value, site.steps)
        for value, site in zip(by_site, traced.sites, strict=True)
    ]
    return traced.layout.to_rows([values.reshape(-1) for values in steps])


def _levels_off(site: Site) -> jax.Array:
    """Whether f' far out on both sides is below 5% of f' at 0; f takes arrays shaped like s."""
    if site.activation is None:
        return jnp.array(jnp.nan, jnp.float32)
    left, middle, right = (
        magnitude(slope_of(site.activation, jnp.full(site.s.shape, at, site.s.dtype))).reshape(-1)[
            0
        ]
        for at in (-FAR, 0.0, FAR)
    )
    return (jnp.maximum(left, right) < SATURATED_SLOPE * middle).astype(jnp.float32)
