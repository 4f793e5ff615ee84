"""Inputs without correlations: a fixed linear map of every example of a task."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.data.stream import Arrays, Batch, State, Stream, Task

EXAMPLES = 20_000  # that the covariance is estimated from
FLOOR = 0.1  # of the mean eigenvalue; directions of less variance are stretched no further


class Whitening(NamedTuple):
    """x becomes (x - ``mean``) ``matrix``: ``mean`` [inputs], ``matrix`` [inputs, inputs]."""

    mean: jax.Array
    matrix: jax.Array


def fit(x: np.ndarray, /, *, floor: float = FLOOR) -> Whitening:
    """The whitening of examples ``x`` [n, inputs] that changes them least (ZCA).

    Along each eigenvector of the covariance it divides by the square root of the eigenvalue, but by
    no less than that of ``floor`` times the mean eigenvalue: images have directions in which they
    hardly vary, and some, such as a border of one colour, in which they don't. Then all is
    multiplied by one number, so that the mean of x^2 stays as it was: the inputs are as large as
    before and only their shape is another.

    Raises:
      ValueError: ``floor`` is not positive, or all examples are alike.
    """
    if not floor > 0:
        raise ValueError(f"floor: {floor} is not a positive number")
    x = np.asarray(x, np.float64)
    mean = x.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=True))
    if not values.mean() > 0:
        raise ValueError(f"x: {len(x)} examples are all alike; they have no variance to whiten")
    matrix = (vectors / np.sqrt(np.maximum(values, floor * values.mean()))) @ vectors.T
    size = np.sqrt(np.mean(x**2) / np.mean(((x - mean) @ matrix) ** 2))
    return Whitening(*(jnp.asarray(part, jnp.float32) for part in (mean, size * matrix)))


def apply(whitening: Whitening, batch: Batch) -> Batch:
    """``batch`` with its examples whitened."""
    return batch._replace(x=(batch.x - whitening.mean[None]) @ whitening.matrix)


def whitened(
    task: Task, key: jax.Array, /, *, examples: int = EXAMPLES, floor: float = FLOOR
) -> Task:
    """``task`` with every example whitened, by what the first ``examples`` of a stream show.

    The stream is that of ``key``; labels and their order are the task's own. What black and white
    are has no meaning any more: ``pixel_range`` is that of the values seen.

    Raises:
      ValueError: as ``fit``.
    """
    seen = _first(task.train, key, examples)
    whitening = fit(seen, floor=floor)

    def next_block(arrays: tuple[Arrays, Whitening], state: State) -> tuple[State, Batch]:
        inside, whitening = arrays
        state, block = task.train.next(inside, state)
        return state, apply(whitening, block)

    stream = Stream(
        task.train.init, next_block, task.train.block_size, (task.train.arrays, whitening)
    )
    made = (np.asarray(seen, np.float32) - np.asarray(whitening.mean)) @ np.asarray(
        whitening.matrix
    )
    return task._replace(
        train=stream,
        validation=apply(whitening, task.validation),
        test=apply(whitening, task.test),
        pixel_range=(float(made.min()), float(made.max())),
    )


def _first(stream: Stream, key: jax.Array, examples: int) -> np.ndarray:
    """At least so many examples of the stream of ``key``, [n, inputs]."""
    following, state, blocks = jax.jit(stream.next), stream.init(key), []
    for _ in range(-(-examples // stream.block_size)):
        state, block = following(stream.arrays, state)
        blocks.append(np.asarray(block.x))
    return np.concatenate(blocks)
