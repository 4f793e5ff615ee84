"""Convolutions with their axes in the order that XLA compiles well for a CPU, in loops too.

XLA brings a program's convolutions into the order [n, .., channels] itself, but not those in the
bodies of its loops, which it compiles as plain loops: measuring a ResNet-50 took twelve times as
long.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from glorot_jax.diagnosis.tracing.jaxpr import Read, bind, evaluate


def in_standard_layout(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of arrays, its convolutions with [n, .., channels] and [.., in, out]."""

    def run(*args: Any) -> Any:
        closed, made = jax.make_jaxpr(function, return_shape=True)(*args)
        values = evaluate(closed, jax.tree.leaves(args), _convolved)
        made = jax.tree.unflatten(jax.tree.structure(made), values)
        return jax.tree.map(jnp.asarray, made)  # an output can be a constant

    return run


def _standard(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """The same body of a loop or of a jit."""
    return jax.make_jaxpr(lambda *args: evaluate(closed, args, _convolved))(*closed.in_avals)


def _convolved(index: int, eqn: core.JaxprEqn, read: Read) -> Sequence[Any] | None:
    del index
    inside = {n: p for n, p in eqn.params.items() if isinstance(p, core.ClosedJaxpr)}
    if inside and not eqn.primitive.name.startswith("custom_"):
        params = eqn.params | {name: _standard(closed) for name, closed in inside.items()}
        return bind(eqn.replace(params=params), [read(atom) for atom in eqn.invars])
    if eqn.primitive.name != "conv_general_dilated":
        return None
    signal, kernel = (read(atom) for atom in eqn.invars)
    numbers = eqn.params["dimension_numbers"]
    channels = signal.ndim - 1
    spatial = range(1, channels)
    standard = jax.lax.ConvDimensionNumbers(
        lhs_spec=(0, channels, *spatial),
        rhs_spec=(channels, channels - 1, *range(channels - 1)),
        out_spec=(0, channels, *spatial),
    )
    made = eqn.primitive.bind(
        _moved(signal, numbers.lhs_spec, standard.lhs_spec),
        _moved(kernel, numbers.rhs_spec, standard.rhs_spec),
        **{**eqn.params, "dimension_numbers": standard},
    )
    return [_moved(made, standard.out_spec, numbers.out_spec)]


def _moved(values: jax.Array, spec: Sequence[int], wanted: Sequence[int]) -> jax.Array:
    """With each axis of ``spec`` at its place in ``wanted``."""
    return jax.lax.transpose(values, [axis for _, axis in sorted(zip(wanted, spec, strict=True))])
