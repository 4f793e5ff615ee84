"""What the first cost is worth: held against answers that need no network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from glorot_jax.diagnosis.measuring.wide import is_inexact
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.typing import Loss, PyTree

STEPS = 60  # of L-BFGS, for the best constant
SHIFT = 3.0  # added to all outputs at once
FAR = 8.0  # an output far beyond the range of a sigmoid or softmax
SAME = 1e-4  # relative, between two float32 costs


@dataclass(frozen=True)
class Answers:
    """What a loss says of outputs that no network computed; costs are means over the examples.

    ``zero``: of outputs that are all 0. ``constant``: of the best answer that is the same for every
    example. NaN where the loss isn't finite there. ``shift_free``: whether adding a number to all
    outputs of an example changes nothing, as where the loss takes a softmax. ``targets``: whether
    the loss is least where the outputs are y, as a distance is. ``beyond``: whether outputs far
    outside of 0 to 1 cost less than any inside, as where the loss takes a sigmoid. ``least``: the
    least cost of all that was tried. ``slope``: what the cost changes by at the given outputs if
    each moves by its own size, or by 1 if that is less. ``mixes``: whether the cost of one example
    depends on the outputs of others.
    """

    zero: float
    constant: float
    shift_free: bool
    targets: bool
    beyond: bool
    least: float = float("nan")
    slope: float = float("nan")
    mixes: bool = False


def answers(loss: Loss, outputs: PyTree, y: Any, /) -> Answers:
    """The answers for labels ``y`` and outputs shaped like ``outputs``, arrays [n, ..].

    Example:
      >>> labels = jnp.array([0, 1, 1, 0])
      >>> round(answers(gj.losses.cross_entropy, jnp.ones((4, 2)), labels).constant, 4)
      0.6931
    """
    outputs = jax.device_get(outputs)
    leaves, structure = jax.tree.flatten(outputs)
    ideal = _as_outputs(outputs, y)

    def single(made: PyTree, y: Any) -> jax.Array:
        return loss(made, y).astype(jnp.float32)

    def mean_cost(made: PyTree, y: Any) -> jax.Array:
        return jnp.mean(single(made, y))

    def alike(constants: list[Any]) -> PyTree:
        """Outputs that are the same for every example: constants of the last axis."""
        full = [
            jnp.broadcast_to(c, leaf.shape).astype(leaf.dtype)
            for c, leaf in zip(constants, leaves, strict=True)
        ]
        return jax.tree.unflatten(structure, full)

    # Two programs for all that is tried: one of all of it takes five times as long to compile.
    each = compiled_once(single)
    gradient = compiled_once(jax.grad(mean_cost))

    def cost(made: PyTree) -> float:
        return float(np.mean(np.asarray(each(made, y))))

    zero, middle = (
        jax.tree.map(lambda a, v=value: np.full_like(a, v), outputs) for value in (0.0, 0.5)
    )
    down = jax.tree.map(lambda g: -np.sign(g), jax.device_get(gradient(middle, y)))
    given = np.asarray(each(outputs, y))
    with np.errstate(all="ignore"):
        costs = {
            "given": float(np.mean(given)),
            "zero": cost(zero),
            "shifted": cost(_shifted(outputs)),
            "inside": cost(_moved(middle, down, 0.5)),
            "outside": cost(_moved(middle, down, FAR)),
            "ideal": np.nan if ideal is None else cost(ideal),
            "slope": _slope(outputs, jax.device_get(gradient(outputs, y))),
            "mixed": _mixed(each, outputs, y, given),
        }
    means = [_last_axis_mean(leaf) for leaf in leaves]
    start = [np.zeros_like(mean) for mean in means] if np.isfinite(costs["zero"]) else means
    constant = _least(lambda c: mean_cost(alike(c), y), start)
    return Answers(
        costs["zero"],
        min([c for c in (constant, costs["zero"]) if np.isfinite(c)], default=np.nan),
        bool(np.isclose(costs["given"], costs["shifted"], rtol=SAME, atol=1e-6)),
        abs(costs["ideal"]) <= SAME * abs(costs["given"]),
        costs["outside"] < costs["inside"] * (1 - SAME),
        float(np.nanmin([constant, *(costs[name] for name in _TRIED)])),
        costs["slope"],
        costs["mixed"] > SAME,
    )


_TRIED = ("zero", "given", "shifted", "inside", "outside", "ideal")


def _shifted(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda a: a + np.asarray(SHIFT).astype(a.dtype), tree)


def _slope(outputs: PyTree, gradient: PyTree) -> float:
    sizes = jax.tree.map(
        lambda o, g: np.sum(np.abs(g) * np.maximum(np.abs(o), 1), dtype=np.float32),
        outputs,
        gradient,
    )
    return float(sum(jax.tree.leaves(sizes)))


def _mixed(each: Callable[[PyTree, Any], Any], outputs: PyTree, y: Any, given: np.ndarray) -> float:
    """By how much, relative, the other examples' costs change with the first one's output or y."""
    moved = jax.tree.map(_with_another_first, outputs)
    other = jax.tree.map(_other_label, y)
    before = given[1:]
    after = [np.asarray(each(*made))[1:] for made in ((moved, y), (outputs, other))]
    scale = np.mean(np.abs(before))
    change = np.max(np.abs(np.stack(after) - before))
    return float(change / (scale if scale > 0 else 1))


def _with_another_first(values: np.ndarray) -> np.ndarray:
    made = values.copy()
    made[0] = _shifted(made[0])
    return made


def _other_label(labels: Any) -> np.ndarray:
    """The same with another first one, of a kind that the loss takes."""
    labels = np.asarray(labels)
    if is_inexact(labels):
        return _with_another_first(labels)
    made = labels.copy()
    made[0] = made[-1]
    return made


def _moved(start: PyTree, direction: PyTree, by: float) -> PyTree:
    return jax.tree.map(lambda a, d: a + np.asarray(by).astype(a.dtype) * d, start, direction)


def _as_outputs(outputs: PyTree, y: Any) -> PyTree | None:
    """y itself in the place of the outputs; None where it isn't shaped like them."""
    leaves, structure = jax.tree.flatten(outputs)
    targets = jax.tree.leaves(y)
    if len(leaves) != len(targets) or not all(
        jnp.issubdtype(jnp.result_type(t), jnp.floating) and jnp.size(t) == jnp.size(o)
        for o, t in zip(leaves, targets, strict=True)
    ):
        return None
    given = [np.reshape(t, o.shape).astype(o.dtype) for o, t in zip(leaves, targets, strict=True)]
    return jax.tree.unflatten(structure, given)


def _last_axis_mean(leaf: np.ndarray) -> np.ndarray:
    real = np.real(leaf).astype(np.float64)
    return np.asarray(np.mean(real, axis=tuple(range(leaf.ndim - 1)) or None))


def _least(cost: Callable[[list[Any]], jax.Array], start: list[np.ndarray]) -> float:
    """The least cost that L-BFGS finds from ``start``; NaN where none is finite."""
    sizes = np.cumsum([np.size(leaf) for leaf in start])[:-1]
    shapes = [np.shape(leaf) for leaf in start]

    def unpacked(flat: Any) -> list[Any]:
        parts = jnp.split(flat, sizes)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    gradient = compiled_once(jax.value_and_grad(lambda flat: cost(unpacked(flat))))

    def both(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = gradient(flat.astype(np.float32))
        return float(value), np.asarray(slope, np.float64)

    first = np.concatenate([leaf.reshape(-1) for leaf in start])
    value, slope = both(first)
    if not (np.isfinite(value) and np.isfinite(slope).all()):
        return np.nan
    with np.errstate(all="ignore"):
        found = optimize.minimize(
            both, first, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
        )
    return float(found.fun) if np.isfinite(found.fun) else value
