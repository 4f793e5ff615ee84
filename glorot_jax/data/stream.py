"""What training data is: a stream of example blocks, drawn or walked through on the device."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from glorot_jax.typing import PyTree

Arrays: TypeAlias = PyTree
State: TypeAlias = PyTree


class Batch(NamedTuple):
    """Examples: ``x`` [n, inputs] float32, ``y`` [n] int32 class indices."""

    x: jax.Array
    y: jax.Array


class Stream(NamedTuple):
    """An endless source of examples as two pure functions, usable inside ``scan`` and ``vmap``.

    ``init(key) -> state`` starts a stream; ``next(arrays, state) -> (state, Batch)`` yields the
    next block of ``block_size`` examples. ``arrays`` holds what every state shares (the examples
    of a finite set, ``()`` where examples are drawn): it is passed as an argument so that a
    compiled program never contains the data.
    """

    init: Callable[[jax.Array], State]
    next: Callable[[Arrays, State], tuple[State, Batch]]
    block_size: int
    arrays: Arrays = ()


class Task(NamedTuple):
    """A data set ready for training: a training stream and two fixed held-out sets.

    Attributes:
      image_shape: (height, width, channels) of the image that a row of ``x`` holds.
      origin: where the examples come from, in one sentence for the results page.
      pixel_range: what black and white are in ``x``.
      column_major: whether a row of ``x`` holds its image column by column instead of row by row.
    """

    name: str
    class_names: tuple[str, ...]
    train: Stream
    validation: Batch
    test: Batch
    image_shape: tuple[int, int, int]
    origin: str
    pixel_range: tuple[float, float] = (0.0, 1.0)
    column_major: bool = False


def images(task: Task, x: jax.Array) -> jax.Array:
    """Rows ``x`` [n, inputs] as images [n, height, width, channels], pixels unchanged."""
    height, width, channels = task.image_shape
    if task.column_major:
        return x.reshape(-1, width, height, channels).swapaxes(1, 2)
    return x.reshape(-1, height, width, channels)


class _Walk(NamedTuple):
    key: jax.Array
    permutation: jax.Array
    position: jax.Array


def finite_stream(examples: Batch, *, block_size: int) -> Stream:
    """Walks a finite set for ever, in a fresh random order every epoch.

    Args:
      examples: the training set, x [n, inputs], y [n].
      block_size: examples per block, at most n. A block may span two epochs, so every example is
        seen exactly once an epoch whatever n is.

    Raises:
      ValueError: ``block_size`` is not in 1..n.
    """
    n = examples.y.shape[0]
    if not 1 <= block_size <= n:
        raise ValueError(f"block_size: {block_size} is not in 1..{n}, the number of examples")

    def init(key: jax.Array) -> _Walk:
        key, order = jax.random.split(key)
        return _Walk(key, jax.random.permutation(order, n), jnp.zeros((), jnp.int32))

    def next_block(arrays: Batch, walk: _Walk) -> tuple[_Walk, Batch]:
        def within_epoch(walk: _Walk) -> tuple[_Walk, jax.Array]:
            rows = jax.lax.dynamic_slice_in_dim(walk.permutation, walk.position, block_size)
            return walk._replace(position=walk.position + block_size), rows

        def across_epochs(walk: _Walk) -> tuple[_Walk, jax.Array]:
            fresh = init(walk.key)
            both = jnp.concatenate([walk.permutation, fresh.permutation])
            rows = jax.lax.dynamic_slice_in_dim(both, walk.position, block_size)
            return fresh._replace(position=walk.position + block_size - n), rows

        fits = walk.position + block_size <= n
        walk, rows = jax.lax.cond(fits, within_epoch, across_epochs, walk)
        return walk, Batch(arrays.x[rows], arrays.y[rows])

    return Stream(init, next_block, block_size, examples)
