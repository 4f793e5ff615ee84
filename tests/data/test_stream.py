"""The walk through a finite set: every example once an epoch, in a fresh order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glorot_jax.data.stream import Batch, Task, finite_stream, images


def _numbered(n):
    """n examples that say their own number in both x and y."""
    rows = jnp.arange(n, dtype=jnp.int32)
    return Batch(jnp.stack([rows, -rows], axis=1).astype(jnp.float32), rows)


def _walk(stream, key, blocks):
    """The labels and inputs of ``blocks`` blocks, walked inside one scan."""

    def step(state, _):
        return stream.next(stream.arrays, state)

    _, batch = jax.lax.scan(step, stream.init(key), None, length=blocks)
    return batch


@st.composite
def _sizes(draw):
    n = draw(st.integers(1, 40))
    return n, draw(st.integers(1, n))


@example(sizes=(1, 1), seed=0)
@example(sizes=(6, 6), seed=0)
@example(sizes=(7, 3), seed=0)
@given(sizes=_sizes(), seed=st.integers(0, 2**31 - 1))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_every_example_exactly_once_an_epoch(sizes, seed):
    n, block_size = sizes
    epochs = 3
    stream = finite_stream(_numbered(n), block_size=block_size)
    batch = _walk(stream, jax.random.key(seed), -(-epochs * n // block_size))
    assert batch.y.dtype == jnp.int32
    assert batch.x.dtype == jnp.float32
    assert batch.y.shape[1:] == (block_size,)
    seen = np.asarray(batch.y).reshape(-1)[: epochs * n].reshape(epochs, n)
    np.testing.assert_array_equal(np.sort(seen, axis=1), np.tile(np.arange(n), (epochs, 1)))
    x, y = np.asarray(batch.x), np.asarray(batch.y)
    np.testing.assert_array_equal(x, np.stack([y, -y], axis=-1))


def test_every_epoch_has_its_own_order_and_every_key_its_own_walk():
    n = 50
    stream = finite_stream(_numbered(n), block_size=7)
    one, other = (
        np.asarray(_walk(stream, jax.random.key(seed), 22).y).reshape(-1)[: 3 * n].reshape(3, n)
        for seed in (0, 1)
    )
    for first, second in [(one[0], one[1]), (one[1], one[2]), (one[0], one[2]), (one[0], other[0])]:
        assert not np.array_equal(first, second)
    assert not np.array_equal(one[0], np.arange(n))
    again = np.asarray(_walk(stream, jax.random.key(0), 22).y).reshape(-1)[: 3 * n]
    np.testing.assert_array_equal(again.reshape(3, n), one)


def test_orders_are_uniform():
    """Each of 4 examples stands first in a quarter of the epochs (chi-square, 3 degrees, 5e-4)."""
    stream = finite_stream(_numbered(4), block_size=4)
    first = np.asarray(_walk(stream, jax.random.key(3), 2000).y)[:, 0]
    counts = np.bincount(first, minlength=4)
    assert ((counts - 500.0) ** 2 / 500.0).sum() < 17.7


def test_same_blocks_by_hand_in_jit_in_scan_and_in_vmap():
    stream = finite_stream(_numbered(11), block_size=4)
    keys = jax.random.split(jax.random.key(5), 3)
    scanned = jnp.stack([_walk(stream, key, 9).y for key in keys])

    states = jax.vmap(stream.init)(keys)
    step = jax.jit(jax.vmap(stream.next, in_axes=(None, 0)))
    vmapped = []
    for _ in range(9):
        states, batch = step(stream.arrays, states)
        vmapped.append(batch.y)
    np.testing.assert_array_equal(jnp.stack(vmapped, axis=1), scanned)

    state = stream.init(keys[0])
    for block in scanned[0][:4]:
        state, batch = stream.next(stream.arrays, state)
        np.testing.assert_array_equal(batch.y, block)


def test_the_compiled_program_does_not_contain_the_data():
    stream = finite_stream(_numbered(4096), block_size=16)
    text = jax.jit(stream.next).lower(stream.arrays, stream.init(jax.random.key(0))).as_text()
    assert len(text) < 100_000


@pytest.mark.parametrize("block_size", [0, -1, 6])
def test_block_size_out_of_range(block_size):
    with pytest.raises(ValueError, match=rf"^block_size: {block_size} is not in 1\.\.5"):
        finite_stream(_numbered(5), block_size=block_size)


@pytest.mark.parametrize("column_major", [False, True])
def test_images_are_rows_laid_out(column_major):
    height, width, channels = shape = (3, 4, 2)
    pictures = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
    rows = np.zeros((5, height * width * channels), np.float32)
    for down in range(height):
        for right in range(width):
            pixel = right * height + down if column_major else down * width + right
            rows[:, channels * pixel : channels * (pixel + 1)] = pictures[:, down, right]
    held_out = Batch(jnp.asarray(rows), jnp.zeros(5, jnp.int32))
    task = Task(
        name="made_up",
        class_names=("a",),
        train=finite_stream(held_out, block_size=1),
        validation=held_out,
        test=held_out,
        image_shape=shape,
        origin="made up",
        column_major=column_major,
    )
    np.testing.assert_array_equal(images(task, task.test.x), pictures)
