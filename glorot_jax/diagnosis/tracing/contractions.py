"""The products that can be sites: which operand is the kernel, and how many inputs a unit has."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from jax.extend import core

from glorot_jax.diagnosis.tracing.layout import Kind


@dataclass(frozen=True)
class Contraction:
    """A product of a signal ``z`` with a ``kernel``, two variables of one equation.

    ``units``: the axes of the product along which its units differ; along the others one kernel
    is used at several positions or for several examples.
    ``uses``: of a convolution, along each axis of z, the share of the kernel's places that see each
    input; () along the examples and the channels.
    """

    kind: Kind
    z: Any
    kernel: Any
    fan_in: int
    fan_out: int
    units: tuple[int, ...]
    uses: tuple[tuple[float, ...], ...] = ()


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
    units = (*range(len(copies)), *_free_axes(eqn, kernel))
    operands = eqn.invars[z], eqn.invars[kernel]
    return Contraction("dense", *operands, fan_in, one_copy // fan_in, units)


def _free_axes(eqn: core.JaxprEqn, operand: int) -> tuple[int, ...]:
    """The axes of a dot_general's output that come from one operand alone."""
    (left, right), (copies, _) = eqn.params["dimension_numbers"]
    first = len(_shape(eqn.invars[0])) - len(left)  # with the copies, in front
    last = first + len(_shape(eqn.invars[1])) - len(right) - len(copies)
    return tuple(range(len(copies), first) if operand == 0 else range(first, last))


def _convolution(eqn: core.JaxprEqn, z: int, kernel: int) -> Contraction | None:
    if kernel != 1:
        return None
    # The axes of the units, of the channels a unit sees, and of space.
    units, channels, *_ = eqn.params["dimension_numbers"].rhs_spec
    shape = _shape(eqn.invars[kernel])
    groups = eqn.params["feature_group_count"] * eqn.params["batch_group_count"]
    fan_in = prod(shape) // shape[units]
    fan_out = prod(shape) // shape[channels] // groups
    made = (eqn.params["dimension_numbers"].out_spec[1],)
    operands = eqn.invars[z], eqn.invars[kernel]
    return Contraction("convolution", *operands, fan_in, fan_out, made, _uses(eqn))


def _uses(eqn: core.JaxprEqn) -> tuple[tuple[float, ...], ...]:
    """Along each axis of a convolution's input, the share of the kernel that sees each input."""
    signal, kernel, made = (_shape(var) for var in (*eqn.invars, *eqn.outvars))
    numbers, params = eqn.params["dimension_numbers"], eqn.params
    uses: list[tuple[float, ...]] = [()] * len(signal)
    for axis, (of_z, of_kernel, of_s) in enumerate(
        zip(numbers.lhs_spec[2:], numbers.rhs_spec[2:], numbers.out_spec[2:], strict=True)
    ):
        # Where each output, a row, looks with each place of the kernel, a column.
        first = np.arange(made[of_s]) * params["window_strides"][axis] - params["padding"][axis][0]
        seen = first[:, None] + np.arange(kernel[of_kernel]) * params["rhs_dilation"][axis]
        apart = params["lhs_dilation"][axis]
        inside = seen[(seen >= 0) & (seen % apart == 0) & (seen < signal[of_z] * apart)]
        counts = np.bincount(inside // apart, minlength=signal[of_z])
        uses[of_z] = tuple((counts / kernel[of_kernel]).tolist())
    return tuple(uses)


def _embedding(eqn: core.JaxprEqn, z: int, kernel: int) -> Contraction | None:
    if kernel != 0:
        return None
    fan_out = prod(eqn.params["slice_sizes"])
    fan_in = prod(_shape(eqn.invars[kernel])) // fan_out
    made = tuple(eqn.params["dimension_numbers"].offset_dims)
    return Contraction("embedding", eqn.invars[z], eqn.invars[kernel], fan_in, fan_out, made)


def _ragged(eqn: core.JaxprEqn, z: int, kernel: int) -> Contraction | None:
    """Each group of rows of z with a kernel of its own, as ``jax.lax.ragged_dot`` does."""
    numbers = eqn.params["ragged_dot_dimension_numbers"]
    (_, contracted), (_, copies) = numbers.dot_dimension_numbers
    groups = numbers.rhs_group_dimensions
    if (z, kernel) != (0, 1) or copies or len(groups) != 1:
        return None
    shape = _shape(eqn.invars[kernel])
    fan_in = prod(shape[axis] for axis in contracted)
    fan_out = prod(shape) // fan_in // shape[groups[0]]
    made = len(_shape(eqn.outvars[0])) - (len(shape) - len(contracted) - 1)
    units = tuple(range(made, len(_shape(eqn.outvars[0]))))
    return Contraction("dense", eqn.invars[0], eqn.invars[1], fan_in, fan_out, units)


def of_gathered(gather: core.JaxprEqn, product: core.JaxprEqn, gathered: int) -> Contraction | None:
    """The product of a signal with kernels that were looked up, operand ``gathered`` of it.

    None where what is looked up is one vector an index, as it is in a table.
    """
    contracted, copies = (dims[gathered] for dims in product.params["dimension_numbers"])
    shape = _shape(product.invars[gathered])
    fan_in = prod(shape[axis] for axis in contracted)
    free = [axis for axis in range(len(shape)) if axis not in (*contracted, *copies)]
    fan_out = prod(shape[axis] for axis in free)
    if sum(size > 1 for size in gather.params["slice_sizes"]) < 2 or fan_out == 1:
        return None
    z, kernel = product.invars[1 - gathered], gather.invars[0]
    return Contraction("dense", z, kernel, fan_in, fan_out, _free_axes(product, gathered))


def moved_axes(axes: Sequence[int], eqns: Sequence[core.JaxprEqn]) -> tuple[int, ...] | None:
    """Where ``axes`` of the input of a chain are after it; None where they merge with others."""
    at = set(axes)
    for eqn in eqns:
        name, shape = eqn.primitive.name, _shape(eqn.invars[0])
        if name == "transpose":
            at = {new for new, old in enumerate(eqn.params["permutation"]) if old in at}
        elif name in ("reshape", "squeeze", "expand_dims"):
            moved = _reshaped(at, shape, _shape(eqn.outvars[0]))
            if moved is None:
                return None
            at = moved
    return tuple(sorted(at))


def _reshaped(at: set[int], old: tuple[int, ...], new: tuple[int, ...]) -> set[int] | None:
    """Axes by the runs of old and new ones that hold the same values."""
    moved: set[int] = set()
    i = j = 0
    while i < len(old) or j < len(new):
        olds: list[int] = []
        news: list[int] = []
        a = b = 1
        while True:
            if a <= b and i < len(old):
                a, olds, i = a * old[i], [*olds, i], i + 1
            elif j < len(new):
                b, news, j = b * new[j], [*news, j], j + 1
            else:
                break
            if a == b:
                break
        of_units = {axis in at for axis in olds if old[axis] > 1}
        if len(of_units) > 1:
            return None
        if True in of_units:
            moved.update(axis for axis in news if new[axis] > 1)
    return moved


def _shape(atom: Any) -> tuple[int, ...]:
    return atom.aval.shape


_READERS = {
    "dot_general": _dense,
    "conv_general_dilated": _convolution,
    "gather": _embedding,
    "ragged_dot_general": _ragged,
}
CONTRACTIONS = frozenset(_READERS)
