"""Statistics of every site while a model trains, measured inside one's own jitted update."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.site_statistics import Statistics, site_statistics
from glorot_jax.losses import cross_entropy
from glorot_jax.typing import ApplyFn, Loss, Params, PyTree

T = TypeVar("T")


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
    traced = trace_with_costs(apply_fn, params, x, y, loss=loss)

    def measure(params: PyTree, x: PyTree, y: PyTree) -> Mapping[str, jax.Array]:
        return site_statistics(traced, params, x, y, loss=loss)

    values = measured_if(when, measure, params, x, y)
    return Statistics(values, tuple(row.label for row in traced.rows()))


def measured_if(when: bool | jax.Array, measure: Callable[..., T], /, *args: Any) -> T:
    """``measure(*args)``, floats; where ``when`` is False it isn't done, and all is NaN."""
    # Jitted, so that the shapes below and the branch come from tracing it once.
    measure = jax.jit(measure)

    def nothing(*args: Any) -> T:
        shapes = jax.eval_shape(measure, *args)
        return jax.tree.map(lambda a: jnp.full(a.shape, jnp.nan, a.dtype), shapes)

    return measure(*args) if when is True else jax.lax.cond(when, measure, nothing, *args)
