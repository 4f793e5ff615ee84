"""Statistics of every site while a model trains, measured inside one's own jitted update."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.site_statistics import Statistics, site_statistics
from glorot_jax.diagnosis.measuring.watching import measured_if
from glorot_jax.diagnosis.tracing.meshes import by_compiler
from glorot_jax.losses import cross_entropy
from glorot_jax.typing import ApplyFn, Loss, Params, PyTree


def monitor(
    apply_fn: ApplyFn[Params],
    params: Params,
    x: PyTree,
    y: PyTree,
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
    sites: list[str] = []

    def measured(
        params: PyTree, x: PyTree, y: PyTree, when: bool | jax.Array = True
    ) -> Mapping[str, jax.Array]:
        traced = trace_with_costs(apply_fn, params, x, y, loss=loss)
        sites[:] = (row.label for row in traced.rows())

        def measure(params: PyTree, x: PyTree, y: PyTree) -> Mapping[str, jax.Array]:
            return site_statistics(traced, params, x, y, loss=loss)

        return measured_if(when, measure, params, x, y)

    values = by_compiler(measured, params, x, y, *(() if when is True else (when,)))
    return Statistics(values, tuple(sites))
