"""One code for arrays of NumPy and of JAX: on the host nothing is compiled.

A program of many reductions takes XLA seconds to compile, and NumPy tenths of a second to do. So
what is measured of signals that are on the host is written with the functions that both have.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.typing import PyTree

Array: TypeAlias = Any  # of NumPy or of JAX
T = TypeVar("T")


def namespace(array: Array) -> Any:
    """``numpy`` or ``jax.numpy``, whichever the array is of."""
    return np if isinstance(array, (np.ndarray, np.generic)) else jnp


def in_double(values: Array) -> np.ndarray:
    """On the host, with twice the digits: float64, or complex128 of complex values."""
    values = np.asarray(values)
    return values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)


def each(function: Callable[[Any], T], trees: PyTree) -> T:
    """``function`` of each entry of the arrays' first axis, one after the other, stacked.

    >>> each(lambda pair: pair[0] @ pair[1], (np.ones((2, 3)), np.ones((2, 3)))).tolist()
    [3.0, 3.0]
    """
    leaves, structure = jax.tree.flatten(trees)
    if namespace(leaves[0]) is jnp:
        mapped: T = jax.lax.map(function, trees)
        return mapped
    entries = zip(*leaves, strict=True)
    return stacked([function(jax.tree.unflatten(structure, entry)) for entry in entries])


def stacked(trees: Sequence[T]) -> T:
    """Trees of arrays as one tree of arrays with a new first axis."""
    made: T = jax.tree.map(lambda *leaves: namespace(leaves[0]).stack(leaves), *trees)
    return made


def einsum(subscripts: str, a: Array, b: Array) -> Array:
    """In all of float32, which an accelerator's default is not; NumPy's starts no threads."""
    if namespace(a) is np:
        return np.einsum(subscripts, a, b)
    return jnp.einsum(subscripts, a, b, precision=jax.lax.Precision.HIGHEST)


def of_backend(array: Array) -> Array:
    """An array as it is worked on without compiling: on the host, if programs run there."""
    return np.asarray(array) if jax.default_backend() == "cpu" else jnp.asarray(array)
