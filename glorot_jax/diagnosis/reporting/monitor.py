"""Statistics of every site while a model trains, measured inside one's own jitted update."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from glorot_jax.diagnosis.measuring.site_statistics import site_statistics
from glorot_jax.diagnosis.tracing.sites import Apply, trace
from glorot_jax.losses import Loss, cross_entropy


@partial(jax.tree_util.register_dataclass, data_fields=("values",), meta_fields=("sites",))
@dataclass(frozen=True)
class Statistics:
    """What ``site_statistics`` measures, as a pytree that leaves a jitted function.

    ``values``: arrays by the name of a statistic, [site] or [site, quantile], after the axes that
    vmap and scan put before. ``sites``: their labels, the same for every measurement of a model.
    """

    values: Mapping[str, Any]
    sites: tuple[str, ...]


def monitor(
    apply_fn: Apply,
    params: Any,
    x: Any,
    y: jax.Array,
    /,
    *,
    loss: Loss = cross_entropy,
    when: bool | jax.Array = True,
) -> Statistics:
    """The statistics of every site of ``apply_fn(params, x)``, reduced inside the program.

    Pure, and meant for the inside of a jitted update: the model is traced when the update is,
    and never again. The values are those of ``site_statistics``, whose docstring lists them.
    ``when``, a bool that may be computed, says whether to measure: where it is False all values
    are NaN and none of the work is done. (Under ``vmap`` that needs one ``when`` for all.)

        measured = monitor(apply_fn, params, x, y, when=update % 100 == 0)

    Raises:
      ValueError: as ``trace`` and ``site_statistics`` do, or ``when`` isn't one bool.
    """
    if jnp.shape(when) or jnp.result_type(when) != jnp.bool_:
        raise ValueError(f"when: {jax.typeof(when).str_short()} is not one bool")
    found = trace(apply_fn, params, x)

    # Jitted, so that the shapes below and the branch come from tracing it once.
    @jax.jit
    def measure(params: Any, x: Any, y: jax.Array) -> Mapping[str, jax.Array]:
        return site_statistics(found, params, x, y, loss=loss)

    def nothing(*_: Any) -> Mapping[str, jax.Array]:
        shapes = jax.eval_shape(measure, params, x, y)
        return jax.tree.map(lambda a: jnp.full(a.shape, jnp.nan, a.dtype), shapes)

    values = (
        measure(params, x, y)
        if when is True
        else jax.lax.cond(when, measure, nothing, params, x, y)
    )
    return Statistics(values, tuple(row.label for row in found.rows()))
