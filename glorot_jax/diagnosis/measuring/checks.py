"""What a person gives, checked: one sentence that says what to change."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.tracing.sites import Traced, trace
from glorot_jax.dotted import reason
from glorot_jax.losses import LOSSES
from glorot_jax.typing import ApplyFn, Loss, PyTree


def trace_with_costs(
    apply_fn: ApplyFn[Any],
    params: PyTree,
    x: PyTree,
    y: PyTree,
    /,
    *,
    loss: Loss,
    signal: Sequence[str] = (),
) -> Traced:
    """``trace``, with ``loss`` of the outputs and y checked to be one cost for each example.

    Where x has arrays of several lengths, as a batch of graphs has, there are as many examples as
    costs.

    Raises:
      ValueError: as ``trace`` and ``check_costs`` do.
    """
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(x)}
    n = _number_of_costs(apply_fn, params, x, y, loss) if len(lengths) > 1 else None
    try:
        traced = trace(apply_fn, params, x, n=n, signal=signal)
    except ValueError as error:
        if str(error).startswith("apply_fn: fails") and _runs(apply_fn, params, y):
            raise ValueError(f"{error}; it runs for y: are x and y swapped?") from error
        raise
    check_costs(loss, traced.outputs, y, traced.n)
    return traced


def _runs(apply_fn: ApplyFn[Any], params: PyTree, x: PyTree) -> bool:
    try:
        jax.eval_shape(apply_fn, params, x)
    except Exception:  # whatever the user's function raises
        return False
    return True


def _number_of_costs(
    apply_fn: ApplyFn[Any], params: PyTree, x: PyTree, y: PyTree, loss: Loss
) -> int | None:
    """None where they can't be counted: ``trace`` says why."""
    try:
        costs = jax.eval_shape(lambda *args: loss(apply_fn(*args[:2]), args[2]), params, x, y)
    except Exception:  # whatever the user's functions raise
        return None
    return costs.shape[0] if _is_array(costs) and len(costs.shape) == 1 else None


def check_costs(loss: Loss, outputs: PyTree, y: PyTree, n: int) -> None:
    """Refuses labels y, or a loss, that don't give one cost for each of ``n`` examples.

    ``outputs``: a pytree of shapes, as ``Traced.outputs``.

    Raises:
      ValueError: they don't.
    """
    try:
        costs = jax.eval_shape(loss, outputs, y)
    except Exception as error:  # whatever the user's function raises
        _check_labels(outputs, y, n)
        given = ", ".join(str(list(leaf.shape)) for leaf in jax.tree.leaves(outputs))
        raise ValueError(f"loss: fails for outputs {given} ({reason(error)})") from error
    if not _is_array(costs) or costs.shape != (n,):
        _check_labels(outputs, y, n)
        shapes = [str(list(leaf.shape)) for leaf in jax.tree.leaves(costs)]
        scalar = ": leave out its mean or sum" if shapes == ["[]"] else ""
        returned = ", ".join(shapes) or "nothing"
        raise ValueError(f"loss: returns {returned}, not one cost for each of {n} examples{scalar}")
    if not jnp.issubdtype(costs.dtype, jnp.floating):
        raise ValueError(f"loss: returns {costs.dtype}, not costs of a float type")
    if loss in LOSSES.values():
        _check_classes(outputs, y)


def _check_labels(outputs: PyTree, y: PyTree, n: int) -> None:
    """What is wrong with y, if anything, once a loss couldn't use it."""
    if not hasattr(y, "shape"):
        return
    shape = list(np.shape(y))
    if shape[:1] != [n]:
        raise ValueError(f"y: {shape} is not one label for each of {n} examples")
    if _is_array(outputs) and len(shape) > 1 and tuple(shape) == outputs.shape:
        raise ValueError(
            f"y: {shape} is shaped like the outputs, where class numbers {shape[:-1]} are "
            "wanted: jnp.argmax(y, axis=-1) makes them of one-hot labels"
        )


def _check_classes(outputs: jax.ShapeDtypeStruct, y: Any) -> None:
    """Labels are numbers of classes, where they are known: not inside somebody's jit."""
    if isinstance(y, (jax.core.Tracer, jax.ShapeDtypeStruct)):
        return
    labels, classes = np.asarray(y), outputs.shape[-1]
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise ValueError(f"y: holds label {wrong[0]}, and there are {classes} classes from 0 on")


def _is_array(made: Any) -> bool:
    return isinstance(made, jax.ShapeDtypeStruct)
