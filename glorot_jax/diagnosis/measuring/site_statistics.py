"""What is measured at each site, as one pure function of (params, x, y)."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.arrays import Array, each, namespace, stacked
from glorot_jax.diagnosis.measuring.checks import check_costs
from glorot_jax.diagnosis.measuring.exposure import Made, Values, make
from glorot_jax.diagnosis.measuring.moments import quantiles
from glorot_jax.diagnosis.measuring.one_step import (
    OneStep,
    Shown,
    finished,
    one_step,
    one_step_in_full,
    one_step_with_gradient,
    with_dead,
)
from glorot_jax.diagnosis.tracing.layout import Order, Site, each_step
from glorot_jax.diagnosis.tracing.sites import Signals, Traced
from glorot_jax.losses import cross_entropy
from glorot_jax.probes.activations import QUANTILES
from glorot_jax.typing import Loss, PyTree


def site_statistics(
    traced: Traced, params: PyTree, x: PyTree, y: PyTree, /, *, loss: Loss = cross_entropy
) -> Mapping[str, jax.Array]:
    """Statistics of every row of ``traced.rows()``: one a site, and one a step inside a scan.

    ``x`` [n, ..] and labels ``y`` [n] are examples. Pure, for ``jit`` and for ``vmap`` over seeds.
    Where nothing is to be measured (the input of an embedding, the slope of what isn't an
    elementwise function, a branch not taken) a value is NaN. Returns arrays whose first axis is
    the row, all float32:
      z_mean, z_std, z_mean_square, s_mean, s_std, s_mean_square: [rows], over all values of the
        site's input z and pre-activation s; the mean square of s is q.
      z_quantile, s_quantile: [rows, 3], the 2nd, 50th and 98th percentile; of more than 8192
        values, by so many of them (``moments.quantiles`` has the error).
      z_cosine, s_cosine: [rows], mean cosine between the values of two examples.
      saturated: [rows], fraction of s where the slope f'(s) of what follows is below 5% of the
        slope at 0, falling functions turned over; 0 where the slope at 0 is 0, as JAX says of
        relu.
      dead: [rows], fraction of units whose slope is 0 for every example, and at every position
        and time step that has the same kernel.
      ds_std, ds_mean_square, ds_norm: [rows], of dC/ds, C each example's own cost.
      dw_std, dw_norm: [rows], of dC/dw of the mean cost through this site and step alone: a
        parameter's gradient is the sum over its rows. dw_ratio: dw_norm over kernel_norm.
      kernel_std, kernel_norm: [rows]. gain: [rows], n Var[W] with n the fan-in; an embedding's n is
        the number of its rows, of which it adds up one.

    Raises:
      ValueError: params or x aren't as traced, or ``loss`` of the outputs and y isn't [n].
    """
    traced.check(params, x)
    check_costs(loss, traced.outputs, y, traced.n)

    def total_cost(perturbations: tuple[jax.Array, ...]) -> tuple[jax.Array, Signals]:
        signals = traced.run(params, x, perturbations)
        return jnp.sum(loss(signals.outputs, y)), signals

    ds, signals = jax.grad(total_cost, has_aux=True)(traced.perturbations())
    return statistics_of_pass(traced, signals, ds)


@partial(
    jax.tree_util.register_dataclass, data_fields=("values", "overall"), meta_fields=("sites",)
)
@dataclass(frozen=True)
class Statistics:
    """What ``site_statistics`` measures, as a pytree that leaves a jitted function.

    ``values``: arrays by the name of a statistic, [site] or [site, quantile], after the axes that
    vmap and scan put before. ``sites``: their labels, the same for every measurement of a model.
    ``overall``: numbers of the whole net by name, as ``gj.watch`` measures them.
    """

    values: Mapping[str, Any]
    sites: tuple[str, ...]
    overall: Mapping[str, Any] = field(default_factory=dict)


HOST_THREADS = 4  # each holds a few arrays in the size of a site's signal
Groups = Sequence[Shown]


def statistics_of_pass(
    traced: Traced, signals: Signals, ds: Sequence[jax.Array]
) -> Mapping[str, jax.Array]:
    """``site_statistics`` of a pass that was already made: its ``signals`` and dC/ds."""
    # Finished step by step: a kernel's gradient is held for no longer than that.
    return _ordered(traced, _groups(one_step, traced, signals, ds, finish=True))


def at_each_site(
    traced: Traced, signals: Signals, ds: Sequence[jax.Array], bins: int
) -> tuple[Groups, list[jax.Array]]:
    """Of a pass that was already made, its ``signals`` and dC/ds: what is shown of each site.

    Returns what ``as_rows`` takes, and of each site dC/dW of the summed cost [steps, ..kernel].
    """
    measure = partial(one_step_with_gradient, bins=bins)
    groups = _groups(measure, traced, signals, ds)
    found: dict[int, jax.Array] = {}
    for alike, shown in zip(traced.layout.alike, groups, strict=True):
        gradients = shown.pop("kernel_gradient")
        found |= {index: gradients[place] for place, index in enumerate(alike)}
    return groups, [found[index] for index in range(len(traced.sites))]


def made_at_each_site(
    traced: Traced,
    signals: Signals,
    ds: Sequence[jax.Array],
    gradients: Mapping[Order, jax.Array],
) -> list[Made]:
    """Of each site what ``on_host`` needs besides its values, [*steps, ..].

    ``gradients``: dC/dW of the summed cost, by site, where it is known already.
    """

    def made(site: Site, values: Values) -> Made:
        if not site.steps:
            return make(site, values, gradients.get(site.order))

        def at_step(kernel: jax.Array, *rest: Any) -> Made:
            return make(site, Values(kernel, *rest))

        flat = each_step(site, at_step, *values)
        return jax.tree.map(lambda a: a.reshape(*site.steps, *a.shape[1:]), flat)

    return [
        made(site, Values(*values))
        for site, *values in zip(traced.sites, *_values(signals, ds), strict=True)
    ]


def on_host(
    traced: Traced, signals: Signals, ds: Sequence[Array], made: Sequence[Made], bins: int
) -> Groups:
    """What ``at_each_site`` shows, of arrays on the host and by NumPy, sites side by side."""

    def shown(site: Site, made: Made, kernel: Array, *rest: Any) -> Shown:
        def at_step(kernel: Array, made: Made, *rest: Any) -> Shown:
            return one_step_in_full(site, traced.n, Values(kernel, *rest), made, bins=bins)

        with np.errstate(all="ignore"):
            return each_step(site, at_step, kernel, made, *rest)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, HOST_THREADS)) as pool:
        by_site = list(pool.map(shown, traced.sites, made, *_values(signals, ds)))
    return [stacked([by_site[index] for index in alike]) for alike in traced.layout.alike]


def as_rows(traced: Traced, groups: Groups) -> Mapping[str, Array]:
    """``site_statistics`` of what was shown, and what a report draws and holds against theory.

    ``groups``: for each of ``traced.layout.alike`` arrays [sites, steps, ..] by name. Returns also:
      z_example, s_example, ds_example: [rows, n], mean squares of each example's z, s and dC/ds.
      z_used: [rows, n], of each example's z, each value counted as often as the kernel sees it.
      ds_example_norm: [rows, n], the norm of each example's dC/ds.
      sensitivity: [rows], mean over the examples of norm(s) norm(dC/ds).
      z_constant: [rows], share of the features of z that are the same for every example, and not 0.
      z_position_cosine, s_position_cosine: [rows], mean cosine between two positions of one
        example.
      z_fingerprint, f_fingerprint: [rows, 6], of z and of f(s), by which ``input_sources`` tells
        whose f(s) a z is; f is the elementwise function that follows, else all NaN.
      s_histogram, ds_histogram: [rows, bins], fractions in equal bins of mean +- 4 std.
      kernel_mean_square, bias_mean_square: [rows]; 0 without a bias.
      s_unit_noise, f_unit_noise: [rows], standard error over the units of the mean square of s and
        of f(s), relative to it: what the draw of their weights changes.
    """

    def one_site(site: Site, shown: Shown) -> Shown:
        return with_dead(site, each(finished, shown))

    return _ordered(
        traced,
        [
            each(partial(one_site, traced.sites[alike[0]]), shown)
            for alike, shown in zip(traced.layout.alike, groups, strict=True)
        ],
    )


def _values(signals: Signals, ds: Sequence[Array]) -> tuple[Sequence[Any], ...]:
    """By site: kernels, and the other fields of ``Values`` in their order."""
    return signals.kernels, signals.z, signals.s, ds, signals.biases, signals.others


def _groups(
    measure: OneStep,
    traced: Traced,
    signals: Signals,
    ds: Sequence[jax.Array],
    *,
    finish: bool = False,
) -> list[Shown]:
    n = traced.n
    values = list(zip(*_values(signals, ds), strict=True))
    groups = []
    for alike in traced.layout.alike:
        site = traced.sites[alike[0]]

        def one_site(mine: tuple[Any, ...], site: Site = site) -> PyTree:
            def at_step(kernel: jax.Array, *rest: Any) -> Shown:
                seen = Values(kernel, *rest)
                shown = measure(site, n, seen, make(site, seen))
                return finished(shown) if finish else shown

            measured = each_step(site, at_step, *mine)
            return with_dead(site, measured) if finish else measured

        # One body for all that are alike: what is compiled grows with their kinds.
        together = stacked([values[index] for index in alike])
        # A barrier, so that the same numbers come out whatever program this is a part of.
        groups.append(jax.lax.map(one_site, jax.lax.optimization_barrier(together)))
    return groups


def _ordered(traced: Traced, groups: Sequence[Shown]) -> Mapping[str, Array]:
    """Groups as rows, with quantiles in the place of samples."""
    rows = dict(traced.layout.groups_to_rows(groups))
    # One sort for all that there is to be ordered.
    names = ("z_quantile", "s_quantile")
    xp = namespace(rows[names[0]])
    ordered = quantiles(xp.concatenate([rows[name] for name in names]), QUANTILES)
    return rows | dict(zip(names, xp.split(ordered, 2), strict=True))
