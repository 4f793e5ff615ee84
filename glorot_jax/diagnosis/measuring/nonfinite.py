"""Where a number stops being finite: the equation it happens in, and the line it was written on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from glorot_jax.diagnosis.tracing.jaxpr import (
    Read,
    bind,
    evaluate,
    flatten,
    inside,
    scan_parts,
    source_line,
    variables,
)

# Where a function is finite and its derivative is not, or neither is.
_SINGULAR: dict[str, Callable[..., Any]] = {
    "sqrt": lambda x: x == 0,
    "rsqrt": lambda x: x == 0,
    "cbrt": lambda x: x == 0,
    "log": lambda x: x == 0,
    "log1p": lambda x: x == -1,
    "div": lambda x, y: y == 0,
    "pow": lambda x, y: x == 0,
    "acos": lambda x: jnp.abs(x) == 1,
    "asin": lambda x: jnp.abs(x) == 1,
    "atanh": lambda x: jnp.abs(x) == 1,
    "acosh": lambda x: x == 1,
    "atan2": lambda x, y: (x == 0) & (y == 0),
}
_VALUES = {
    **dict.fromkeys(("sqrt", "rsqrt", "cbrt", "log", "pow"), "0"),
    "log1p": "-1",
    "div": "a denominator of 0",
    **dict.fromkeys(("acos", "asin", "atanh"), "1 or -1"),
    "acosh": "1",
    "atan2": "0 and 0",
}


# What makes no number of its own: an infinity in it was written down, as in a mask.
_PASSING = {
    *("broadcast_in_dim", "select_n", "max", "min", "reduce_max", "reduce_min", "pad", "reshape"),
    *("concatenate", "transpose", "squeeze", "gather", "slice", "copy", "stop_gradient"),
    *("convert_element_type", "argmax", "argmin", "scatter", "dynamic_slice", "clamp"),
}


@dataclass(frozen=True)
class Beginning:
    """The equation that makes an infinity or a NaN out of values that are none.

    ``primitive``: by name. ``line``: the user's file and line, or empty. ``backward``: whether only
    the gradient isn't finite. ``at``: the argument at which the primitive fails, or empty.
    """

    primitive: str
    line: str
    backward: bool
    at: str = ""


def first_not_finite(cost: Callable[..., jax.Array], params: Any, *data: Any) -> Beginning | None:
    """Where ``cost(params, *data)`` or its gradient in ``params`` stops being finite; None if not.

    ``cost`` returns a number. Runs its equations once, and those of its gradient if need be.

    Example:
      >>> cost = lambda w: jnp.sum(jnp.where(w > 0, jnp.sqrt(w), 0.0))
      >>> first_not_finite(cost, jnp.zeros(2)).primitive
      'sqrt'
    """
    forward = flatten(jax.make_jaxpr(cost)(params, *data))
    leaves = jax.tree.leaves((params, *data))
    if (bad := _first(forward, leaves)) is not None:
        return Beginning(*bad[:2], backward=False, at=bad[2] or _VALUES.get(bad[0], ""))
    gradient = jax.grad(cost, allow_int=True)
    backward = flatten(jax.make_jaxpr(gradient)(params, *data))
    if (bad := _first(backward, leaves)) is None:
        return None
    primitive, line, at = bad
    singular = _singular(forward, leaves)
    at_line = [found for found in singular if found[1] == line]
    if singular:
        primitive, line = at_line[0] if at_line else singular[-1]
        return Beginning(primitive, line, backward=True, at=_VALUES[primitive])
    return Beginning(primitive, line, backward=True, at=at)


def first_overflow(cost: Callable[..., jax.Array], params: Any, *data: Any) -> Beginning | None:
    """Where an infinity begins inside a finite ``cost`` that computes in float16, or None."""
    forward = flatten(jax.make_jaxpr(cost)(params, *data))
    if not any(_is_half(out.aval) for eqn in forward.jaxpr.eqns for out in eqn.outvars):
        return None
    bad = _first(forward, jax.tree.leaves((params, *data)), anywhere=True)
    return None if bad is None else Beginning(bad[0], bad[1], backward=False, at=bad[2])


def _is_half(aval: Any) -> bool:
    return bool(getattr(aval, "dtype", None) == jnp.float16)


_Bad = tuple[str, str, str]  # primitive, line, at


def _first(
    closed: core.ClosedJaxpr, leaves: Sequence[Any], *, anywhere: bool = False
) -> _Bad | None:
    """The first equation to blame, where an output isn't finite; or any value, ``anywhere``."""
    places: list[core.JaxprEqn] = []

    @jax.jit
    def flags(*args: Any) -> tuple[list[Any], jax.Array]:
        places.clear()
        found: list[Any] = []

        def watch(index: int, eqn: core.JaxprEqn, read: Read) -> Sequence[Any]:
            values = [read(atom) for atom in eqn.invars]
            made = bind(eqn, values)
            infinite = _any(jnp.isinf, made) & ~_any(jnp.isinf, values)
            if eqn.primitive.name in _PASSING:
                infinite = jnp.array(False)
            not_a_number = _any(jnp.isnan, made) & ~_any(jnp.isnan, values)
            found.append((infinite & ~_any(jnp.isnan, values), not_a_number))
            places.append(eqn)
            return made

        outs = evaluate(closed, args, watch)
        return found, _any(lambda v: ~jnp.isfinite(v), outs)

    found, wrong = flags(*leaves)
    if not (bool(wrong) or anywhere):
        return None
    infinite = [i for i, (one, _) in enumerate(found) if bool(one)]
    not_a_number = [i for i, (_, one) in enumerate(found) if bool(one)]
    if not infinite + not_a_number:
        return None
    blamed = min(infinite + not_a_number)
    eqn = places[blamed]
    between = blamed in not_a_number and eqn.primitive.name in ("sub", "add", "add_any")
    at = "infinity less infinity, as where a mask leaves nothing over" if between else ""
    return _inner(closed, eqn, leaves, at)


def _inner(closed: core.ClosedJaxpr, eqn: core.JaxprEqn, leaves: Sequence[Any], at: str) -> _Bad:
    """The equation itself, or the one inside it, step by step where it is a scan."""
    name = eqn.primitive.name
    bodies = inside(eqn)
    if name not in ("scan", "custom_jvp_call") or not bodies:
        return name, source_line(eqn), at
    values = _operands(closed, eqn, leaves)
    flat = flatten(bodies[0])
    if name == "custom_jvp_call":
        return _first(flat, values) or (name, source_line(eqn), at)
    fixed, carry, xs = scan_parts(eqn, values)
    carries = len(carry)
    steps = range(eqn.params["length"])
    for step in reversed(steps) if eqn.params["reverse"] else steps:
        here = [*fixed, *carry, *(x[step] for x in xs)]
        if (bad := _first(flat, here)) is not None:
            return bad
        carry = evaluate(flat, here)[:carries]
    return name, source_line(eqn), at


def _operands(
    closed: core.ClosedJaxpr, wanted: core.JaxprEqn, leaves: Sequence[Any]
) -> Sequence[Any]:
    kept: list[Any] = []

    def watch(index: int, eqn: core.JaxprEqn, read: Read) -> None:
        if eqn is wanted:
            kept.extend(read(atom) for atom in eqn.invars)

    evaluate(closed, leaves, watch)
    return kept


def _singular(closed: core.ClosedJaxpr, leaves: Sequence[Any]) -> list[tuple[str, str]]:
    """Equations that are at a point without a derivative, in the order of the program."""
    found: list[tuple[str, str]] = []

    def watch(index: int, eqn: core.JaxprEqn, read: Read) -> None:
        name = eqn.primitive.name
        if name in _SINGULAR and variables(eqn.invars):
            if bool(jnp.any(_SINGULAR[name](*(read(atom) for atom in eqn.invars)))):
                found.append((name, source_line(eqn)))
        elif name in ("custom_jvp_call",):
            found.extend(_singular(flatten(inside(eqn)[0]), [read(atom) for atom in eqn.invars]))

    evaluate(closed, leaves, watch)
    return found


def _any(test: Callable[[Any], Any], values: Sequence[Any]) -> jax.Array:
    floats = [v for v in values if jnp.issubdtype(jnp.result_type(v), jnp.inexact)]
    return jnp.array([test(v).any() for v in floats] or [False]).any()


def is_finite(tree: Any) -> bool:
    """Whether all floats in a pytree of arrays on the host are finite."""
    return all(
        np.isfinite(np.asarray(leaf)).all()
        for leaf in jax.tree.leaves(tree)
        if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
    )
