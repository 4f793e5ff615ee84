"""Small data sets for the cases: tables of scikit-learn, and sequences with a known structure."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from sklearn import datasets


@functools.cache
def _rows(name: str) -> tuple[np.ndarray, np.ndarray]:
    bunch = getattr(datasets, f"load_{name}")()
    order = np.random.default_rng(7).permutation(len(bunch.data))
    return bunch.data[order].astype(np.float32), bunch.target[order]


def raw_table(name: str, count: int | None = None) -> tuple[jax.Array, jax.Array]:
    """``x [n, columns]`` as measured, and ``y``: "digits", "wine", "diabetes", ..."""
    x, y = _rows(name)
    return jnp.asarray(x[:count]), jnp.asarray(y[:count])


def table(name: str, count: int | None = None) -> tuple[jax.Array, jax.Array]:
    """The same with standardised columns; a column without spread becomes 0."""
    x, y = _rows(name)
    spread = x.std(0)
    x = (x - x.mean(0)) / np.where(spread > 0, spread, 1)
    return jnp.asarray(np.clip(x, -5, 5)[:count]), jnp.asarray(y[:count])


def images(count: int, raw: bool = False) -> tuple[jax.Array, jax.Array]:
    """Digits as ``[n, 8, 8, 1]``, standardised as a whole, or raw as 0 to 255."""
    x, y = raw_table("digits", count)
    x = x.reshape(-1, 8, 8, 1) / 16
    return (x * 255 if raw else (x - x.mean()) / x.std()), y


def regression(count: int = 300) -> tuple[jax.Array, jax.Array]:
    """The diabetes table with a standardised target ``[n, 1]``."""
    x, y = table("diabetes", count)
    y = y[:, None].astype(jnp.float32)
    return x, (y - y.mean()) / y.std()


def chain_of_tokens(length: int, count: int, vocabulary: int) -> tuple[jax.Array, jax.Array]:
    """Tokens ``[n, length]`` of a Markov chain with four successors each, and the next tokens."""
    rng = np.random.default_rng(11)
    successors = rng.integers(0, vocabulary, (vocabulary, 4))
    tokens = np.empty((count, length + 1), np.int32)
    tokens[:, 0] = rng.integers(0, vocabulary, count)
    for t in range(length):
        choice = rng.choice(4, count, p=(0.6, 0.25, 0.1, 0.05))
        tokens[:, t + 1] = successors[tokens[:, t], choice]
    return jnp.asarray(tokens[:, :-1]), jnp.asarray(tokens[:, 1:])


def first_step(length: int, count: int, classes: int = 8) -> tuple[jax.Array, jax.Array]:
    """Noise ``[n, length, classes]`` whose first step alone shows the class."""
    rng = np.random.default_rng(13)
    y = rng.integers(0, classes, count)
    x = 0.1 * rng.normal(size=(count, length, classes))
    x[:, 0] += 2 * np.eye(classes)[y]
    return jnp.asarray(x, jnp.float32), jnp.asarray(y)


def marked_token(count: int, length: int = 16) -> tuple[jax.Array, jax.Array]:
    """``[n, length, 12]``: each step shows a code of eight; the marked step's code is the class."""
    rng = np.random.default_rng(17)
    codes = rng.integers(0, 8, (count, length))
    place = rng.integers(0, length, count)
    x = 0.3 * rng.normal(size=(count, length, 12))
    x[..., :8] += 1.5 * np.eye(8)[codes]
    x[np.arange(count), place, 8] += 3
    return jnp.asarray(x, jnp.float32), jnp.asarray(codes[np.arange(count), place])


def picture(side: int = 20) -> tuple[jax.Array, jax.Array]:
    """Coordinates ``[side^2, 2]`` in -1 to 1 and a grey value each: a disc on waves."""
    axis = np.linspace(-1, 1, side)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    disc = np.hypot(grid[:, 0] - 0.2, grid[:, 1] + 0.1) < 0.5
    value = np.where(disc, 0.7, -0.5) + 0.3 * np.sin(6 * grid[:, 0])
    return jnp.asarray(grid, jnp.float32), jnp.asarray(value[:, None], jnp.float32)
