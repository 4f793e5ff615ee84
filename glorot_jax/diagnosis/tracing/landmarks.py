"""Landmarks of a program besides its sites: softmaxes, and what makes the outputs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from glorot_jax.diagnosis.tracing.jaxpr import flatten, inside
from glorot_jax.diagnosis.tracing.layout import Role, SoftmaxEquation

_MOVING = {
    *("reshape", "transpose", "squeeze", "expand_dims", "broadcast_in_dim", "copy", "slice"),
    *("convert_element_type", "concatenate", "rev"),
}


def softmaxes(jaxpr: core.Jaxpr, is_signal: Callable[[Any], bool]) -> list[SoftmaxEquation]:
    """exp(a - max a) / sum exp(a - max a), as jax.nn.softmax and most others write it."""
    made = {out: eqn for eqn in jaxpr.eqns for out in eqn.outvars}
    found = []
    for index, eqn in enumerate(jaxpr.eqns):
        if eqn.primitive.name != "div" or not is_signal(eqn.outvars[0]):
            continue
        exponential = made.get(_known(eqn.invars[0]))
        total = _behind(made, eqn.invars[1], {"broadcast_in_dim", "reshape"})
        if exponential is None or total is None:
            continue
        if exponential.primitive.name != "exp" or total.primitive.name != "reduce_sum":
            continue
        axes = total.params["axes"]
        if total.invars[0] is not eqn.invars[0] or len(axes) != 1:
            continue
        logits = _before_shift(made, exponential.invars[0])
        role = _role(jaxpr, eqn.outvars[0], is_signal)
        found.append(SoftmaxEquation(index, logits, axes[0], role))
    return found


def _known(atom: Any) -> Any:
    return None if isinstance(atom, core.Literal) else atom


def _behind(made: dict[Any, core.JaxprEqn], atom: Any, passing: set[str]) -> Any:
    eqn = made.get(_known(atom))
    while eqn is not None and eqn.primitive.name in passing:
        eqn = made.get(_known(eqn.invars[0]))
    return eqn


def _before_shift(made: dict[Any, core.JaxprEqn], exponent: Any) -> Any:
    """The logits themselves, where their maximum was subtracted first."""
    eqn = made.get(_known(exponent))
    if eqn is not None and eqn.primitive.name == "sub" and _known(eqn.invars[0]) is not None:
        return eqn.invars[0]
    return exponent


def _role(jaxpr: core.Jaxpr, weights: Any, is_signal: Callable[[Any], bool]) -> Role:
    following = {weights}
    role: Role = "gate"
    for eqn in jaxpr.eqns:
        read = [atom for atom in eqn.invars if _known(atom) in following]
        if not read:
            continue
        if eqn.primitive.name in _MOVING:
            following.update(eqn.outvars)
        elif eqn.primitive.name == "dot_general" and all(map(is_signal, eqn.invars)):
            return "attention"
    if following & set(map(_known, jaxpr.outvars)):
        role = "output"
    return role


def output_functions(closed: core.ClosedJaxpr) -> list[str]:
    """Of each output of a flat function, the primitive that made it; ``relu`` for max(.., 0)."""
    return [_maker(closed.jaxpr, atom) for atom in closed.jaxpr.outvars]


def _maker(jaxpr: core.Jaxpr, atom: Any) -> str:
    made = {out: eqn for eqn in jaxpr.eqns for out in eqn.outvars}
    eqn = _behind(made, atom, _MOVING - {"concatenate"})
    if eqn is None:
        return ""
    name = eqn.primitive.name
    if name.startswith("custom_") and (bodies := inside(eqn)):
        body = flatten(bodies[0]).jaxpr
        return _maker(body, body.outvars[0])
    zeros = [a for a in eqn.invars if isinstance(a, core.Literal) and a.val == 0]
    return "relu" if name == "max" and zeros else str(name)


def nearest(
    jaxpr: core.Jaxpr, start: Any, at: dict[Any, Any], *, through: Sequence[str] = ()
) -> Iterator[Any]:
    """The values ``at[variable]`` of the nearest variables behind ``start`` that ``at`` knows."""
    made = {out: eqn for eqn in jaxpr.eqns for out in eqn.outvars}
    todo, seen = [start], set()
    while todo:
        atom = _known(todo.pop())
        if atom is None or atom in seen:
            continue
        seen.add(atom)
        if atom in at:
            yield at[atom]
        elif atom in made:
            todo.extend(made[atom].invars)


# A mask is written as a number this far below the rest, or as an infinity.
MASKED = -5e3


def softmax_statistics(logits: jax.Array, weights: jax.Array, axis: int) -> dict[str, jax.Array]:
    """Of the rows of a softmax in which more than one entry isn't masked.

    ``entropy``: mean over rows of the entropy over ln of the entries that aren't masked; NaN where
    there is no such row. ``spread``: mean over rows of the largest logit less the mean one.
    ``load``: over all rows, the mean weight of the entry that has the most.
    """
    logits, weights = (jnp.moveaxis(a, axis, -1).astype(jnp.float32) for a in (logits, weights))
    largest = jnp.max(logits, axis=-1, keepdims=True)
    visible = (logits - largest) > MASKED
    count = jnp.sum(visible.astype(jnp.float32), axis=-1)
    rows = (count > 1).astype(jnp.float32)
    logs = jnp.log(jnp.where(weights > 0, weights, 1.0))
    entropy = -jnp.sum(weights * logs, axis=-1) / jnp.log(jnp.maximum(count, 2.0))
    mean = jnp.sum(jnp.where(visible, logits, 0.0), axis=-1) / jnp.maximum(count, 1.0)
    spread = largest[..., 0] - mean
    total = jnp.sum(rows)
    return {
        "entropy": jnp.sum(jnp.where(rows > 0, entropy, 0.0)) / total,
        "spread": jnp.sum(jnp.where(rows > 0, spread, 0.0)) / total,
        "load": jnp.max(jnp.mean(weights.reshape(-1, weights.shape[-1]), axis=0)),
    }
