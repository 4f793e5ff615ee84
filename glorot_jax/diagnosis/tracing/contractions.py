"""The products that can be sites: which operand is the kernel, and how many inputs a unit has."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from jax.extend import core

from glorot_jax.diagnosis.tracing.layout import Kind


@dataclass(frozen=True)
class Contraction:
    """A product of a signal ``z`` with a ``kernel``, two variables of one equation."""

    kind: Kind
    z: Any
    kernel: Any
    fan_in: int
    fan_out: int


def contraction(
    eqn: core.JaxprEqn, signal: Sequence[bool], of_parameters: Sequence[bool]
) -> Contraction | None:
    """The contraction that ``eqn`` is, if it is one of a signal with parameters."""
    reader = _READERS.get(eqn.primitive.name)
    if reader is None:
        return None
    for z, kernel in ((0, 1), (1, 0)):
        if signal[z] and of_parameters[kernel]:
            return reader(eqn, z, kernel)
    return None


def _dense(eqn: core.JaxprEqn, z: int, kernel: int) -> Contraction:
    contracted, copies = (dims[kernel] for dims in eqn.params["dimension_numbers"])
    shape = _shape(eqn.invars[kernel])
    fan_in = prod(shape[axis] for axis in contracted)
    one_copy = prod(size for axis, size in enumerate(shape) if axis not in copies)
    return Contraction("dense", eqn.invars[z], eqn.invars[kernel], fan_in, one_copy // fan_in)


def _convolution(eqn: core.JaxprEqn, z: int, kernel: int) -> Contraction | None:
    if kernel != 1:
        return None
    # The axes of the units, of the channels a unit sees, and of space.
    units, channels, *_ = eqn.params["dimension_numbers"].rhs_spec
    shape = _shape(eqn.invars[kernel])
    groups = eqn.params["feature_group_count"]
    fan_in = prod(shape) // shape[units]
    fan_out = prod(shape) // shape[channels] // groups
    return Contraction("convolution", eqn.invars[z], eqn.invars[kernel], fan_in, fan_out)


def _embedding(eqn: core.JaxprEqn, z: int, kernel: int) -> Contraction | None:
    if kernel != 0:
        return None
    fan_out = prod(eqn.params["slice_sizes"])
    fan_in = prod(_shape(eqn.invars[kernel])) // fan_out
    return Contraction("embedding", eqn.invars[z], eqn.invars[kernel], fan_in, fan_out)


def _shape(atom: Any) -> tuple[int, ...]:
    return atom.aval.shape


_READERS = {
    "dot_general": _dense,
    "conv_general_dilated": _convolution,
    "gather": _embedding,
}
CONTRACTIONS = frozenset(_READERS)
