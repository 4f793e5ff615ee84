"""What a watched run measures at one update: sites, attention, and what the update changes.

One forward and one backward pass over the batch, reduced in the program that makes them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax

from glorot_jax.activations import SATURATED_SLOPE
from glorot_jax.diagnosis.measuring.examination import split_floats
from glorot_jax.diagnosis.measuring.in_passing import Passed, loops, statistics_in_passing
from glorot_jax.diagnosis.measuring.moments import norm
from glorot_jax.diagnosis.measuring.site_statistics import statistics_of_pass
from glorot_jax.diagnosis.measuring.wide import magnitude
from glorot_jax.diagnosis.tracing.layout import Block, Site, slope_of
from glorot_jax.diagnosis.tracing.meshes import filled
from glorot_jax.diagnosis.tracing.sites import Traced, named_leaves
from glorot_jax.diagnosis.tracing.stations import Landmarks
from glorot_jax.typing import Loss, PyTree

T = TypeVar("T")
FAR = 1490.0  # where a function that levels off has done so


class Measured(NamedTuple):
    """``rows``: [rows] or [rows, quantile] by name; ``overall``: numbers of the whole net."""

    rows: Mapping[str, jax.Array]
    overall: Mapping[str, jax.Array]


class Sizes(NamedTuple):
    """Of one parameter, or of each layer that is stacked in it: [] or [*layers].

    ``kernel``, ``update``: norms; ``asked``, ``stuck``: how many of its entries the update is not 0
    for, and how many of those are the same after it.
    """

    kernel: jax.Array
    update: jax.Array
    asked: jax.Array
    stuck: jax.Array


def statistics_of_update(
    traced: Traced,
    landmarks: Landmarks,
    params: PyTree,
    sizes: Mapping[str, Sizes],
    x: PyTree,
    y: PyTree,
    /,
    *,
    loss: Loss,
) -> Measured:
    """``site_statistics`` of params at (x, y), and what ``update_sizes`` found of an update.

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


def update_sizes(traced: Traced, params: PyTree, updates: PyTree) -> dict[str, Sizes]:
    """By the name of each float parameter; ``updates`` is what is added to params."""
    trees = [list(named_leaves("params", split_floats(tree)[0])) for tree in (params, updates)]
    layers = _layers(traced)
    return {
        name: _size(old, update, layers.get(name, ()))
        for (name, old), (_, update) in zip(*trees, strict=True)
    }


def _size(old: jax.Array, update: jax.Array, layers: tuple[int, ...]) -> Sizes:
    stacked = bool(layers) and old.shape[: len(layers)] == layers
    axes = tuple(range(len(layers) if stacked else 0, old.ndim))
    asked = update != 0
    still = asked & (old == optax.apply_updates(old, update))
    counts = [jnp.sum(which.astype(jnp.float32), axes) for which in (asked, still)]
    return Sizes(norm(old, axes), norm(update, axes), *counts)


def _overall_step(sizes: Mapping[str, Sizes]) -> jax.Array:
    if not sizes:
        return jnp.array(jnp.nan, jnp.float32)
    kernel, update = (
        jnp.concatenate([one[i].reshape(-1) for one in sizes.values()]) for i in (0, 1)
    )
    return norm(update) / norm(kernel)


def _layers(traced: Traced) -> dict[str, tuple[int, ...]]:
    """By the name of a parameter, the scans that it has a layer for each step of."""
    return {name: _varying(site) for site in traced.sites for name in site.parameters}


def _varying(site: Site) -> tuple[int, ...]:
    return tuple(n for n, varies in zip(site.steps, site.kernel_varies, strict=True) if varies)


def _steps(traced: Traced, sizes: Mapping[str, Sizes]) -> dict[str, jax.Array]:
    """What is said of the parameters that each row's kernel is made of."""
    by_site = []
    for site in traced.sites:
        varying = _varying(site)
        mine = [sizes[name] for name in site.parameters if name in sizes]
        if mine:
            own = _together(mine, varying)
        else:
            own = dict.fromkeys(_OF_PARAMETERS, jnp.full(varying, jnp.nan, jnp.float32))
        by_site.append({name: _at_each_step(site, values) for name, values in own.items()})
    return dict(traced.layout.to_rows(by_site))


def _together(sizes: Sequence[Sizes], varying: tuple[int, ...]) -> dict[str, jax.Array]:
    """Of some parameters [*varying]: each layer by itself where they are stacked so."""
    kernel, update, asked, stuck = (jnp.zeros(varying, jnp.float32) for _ in range(4))
    for one in sizes:
        mine = [jnp.broadcast_to(value, varying) for value in one]
        kernel, update = jnp.hypot(kernel, mine[0]), jnp.hypot(update, mine[1])
        asked, stuck = asked + mine[2], stuck + mine[3]
    return {
        "step": update / jnp.where(kernel > 0, kernel, jnp.nan),
        "unmoved": stuck / jnp.maximum(asked, 1.0),
        "parameter_norm": kernel,
    }


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


def measured_if(when: bool | jax.Array, measure: Callable[..., T], /, *args: Any) -> T:
    """``measure(*args)``, floats; where ``when`` is False it isn't done, and all is NaN."""
    # Jitted, so that the shapes below and the branch come from tracing it once.
    measure = jax.jit(measure)

    def nothing(*args: Any) -> T:
        return jax.tree.map(partial(filled, value=jnp.nan), jax.eval_shape(measure, *args))

    return measure(*args) if when is True else jax.lax.cond(when, measure, nothing, *args)
