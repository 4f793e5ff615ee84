"""The statistics of each site taken as the signal passes it, for models with loops over layers.

``site_statistics`` keeps z and s of all sites until it reduces them. Here a site is reduced where
it is, forwards and on the way back, inside the body of its loop: dC/ds of a site meets a function
whose derivative hands it on, and whose other derivative is its statistics.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from glorot_jax.diagnosis.measuring.exposure import slopes, weight_gradient
from glorot_jax.diagnosis.measuring.moments import all_nan, norm, quantiles, std
from glorot_jax.diagnosis.measuring.one_step import finished_forwards, forwards, sizes, with_dead
from glorot_jax.diagnosis.measuring.wide import Wide
from glorot_jax.diagnosis.tracing.layout import Block, Order, Seen, Site, flat_steps
from glorot_jax.diagnosis.tracing.meshes import filled, shape_of
from glorot_jax.diagnosis.tracing.run import run_block
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.probes.activations import QUANTILES
from glorot_jax.typing import Loss, PyTree

_BACKWARDS = ("ds_std", "ds_mean_square", "ds_norm", "dw_std", "dw_norm")
_TAKEN = "taken"  # 1 where the site was reached, NaN in a branch that wasn't taken


class Passed(NamedTuple):
    """``rows``: as ``site_statistics``. ``costs``: [n]. ``seen``: what else the block exposes."""

    rows: Mapping[str, jax.Array]
    costs: jax.Array
    seen: Mapping[Any, Any]


def statistics_in_passing(
    traced: Traced, block: Block, params: PyTree, x: PyTree, y: PyTree, /, *, loss: Loss
) -> Passed:
    """``site_statistics``, of which the signals of all layers are never held at once.

    What a loop hands from step to step is kept for the way back, the rest is computed again.
    ``block``: that of ``traced``, with whatever else is to be exposed.
    """
    sites = {site.order: site for site in traced.sites}
    leaves = jax.tree.leaves((params, x))
    structure = jax.tree.structure(traced.outputs)

    def look(order: Order, values: Seen, zeros: Any) -> tuple[jax.Array, Any]:
        return _look(sites[order], traced.n, values, zeros)

    def total(zeros: Mapping[Order, Any]) -> tuple[jax.Array, Any]:
        outputs, seen = run_block(block, leaves, zeros, look)
        costs = loss(jax.tree.unflatten(structure, outputs), y)
        return jnp.sum(costs), (costs, seen)

    zeros = {
        order: {name: filled(shape_of(site.s, site.steps, jnp.float32)) for name in _BACKWARDS}
        for order, site in sites.items()
    }
    back, (costs, seen) = jax.grad(total, has_aux=True)(zeros)
    by_site = [_finished(site, seen[order], back[order]) for order, site in sites.items()]
    return Passed(traced.layout.to_rows(by_site), costs, seen)


def _look(site: Site, n: int, values: Seen, zeros: Any) -> tuple[jax.Array, Any]:
    """s as it is, and what is kept of the site; the derivative in ``zeros`` is of dC/ds."""
    stopped = jax.lax.stop_gradient(values)
    z, s, kernel = Wide(stopped.z), Wide(stopped.s), Wide(stopped.kernel)
    shown = finished_forwards(forwards(site, z, s, kernel, slopes(site, stopped.s)))
    for name in ("z_quantile", "s_quantile"):
        # A barrier, because XLA takes seconds to sort a constant batch while it compiles.
        sample = jax.lax.optimization_barrier(shown[name])
        shown[name] = quantiles(sample[None], QUANTILES)[0]
    shown[_TAKEN] = jnp.where(all_nan(stopped.s), jnp.nan, 1.0).astype(jnp.float32)
    seen = stopped.z, stopped.kernel, stopped.others

    @jax.custom_vjp
    def handed_on(zeros: Any, s: jax.Array, *seen: Any) -> jax.Array:
        return s

    def forward(zeros: Any, s: jax.Array, *seen: Any) -> tuple[jax.Array, Any]:
        return s, seen

    def backward(seen: Any, ds: jax.Array) -> tuple[Any, ...]:
        z, kernel, others = seen
        dw = weight_gradient(site, z, kernel, others, ds) / n
        sized = {**sizes(ds), "dw_std": std(dw), "dw_norm": norm(dw)}
        return sized, ds, *(None for _ in seen)

    handed_on.defvjp(forward, backward)
    return handed_on(zeros, values.s, *seen), shown


def _finished(
    site: Site, shown: Mapping[str, jax.Array], back: Mapping[str, jax.Array]
) -> dict[str, jax.Array]:
    """Of all steps [count of steps, ..], both ways."""
    flat = {name: flat_steps(site, values) for name, values in shown.items()}
    taken = flat.pop(_TAKEN) == 1
    known = taken & site.differentiable
    made: dict[str, jax.Array] = with_dead(site, flat)
    for name, values in back.items():
        made[name] = jnp.where(known, values.reshape(-1), jnp.nan)
    made["dw_ratio"] = made["dw_norm"] / made["kernel_norm"]
    return made


def loops(sites: Sequence[Site]) -> bool:
    """Whether any of the sites is passed more than once."""
    return any(site.steps for site in sites)
