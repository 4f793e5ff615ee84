"""Checkpoints that can't be read or written end in one line, and lose nothing."""

import errno

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.checkpoint import CheckpointError, Checkpoints


def state(scale: float) -> dict:
    key = jax.random.key(3)
    return {"weights": scale * jax.random.normal(key, (50, 7)), "key": key, "count": np.arange(4)}


def assert_same(found: dict, wanted: dict) -> None:
    np.testing.assert_array_equal(found["weights"], wanted["weights"])
    np.testing.assert_array_equal(found["count"], wanted["count"])
    assert jnp.all(jax.random.key_data(found["key"]) == jax.random.key_data(wanted["key"]))


def test_the_newest_state_comes_back_bit_for_bit(tmp_path):
    saved = Checkpoints(tmp_path, seconds_between=0)
    assert saved.restore(state(0.0)) is None
    for step in (1, 2, 3):
        saved.save(step, state(step), last=False)
    saved.close()
    step, found = Checkpoints(tmp_path, seconds_between=0).restore(state(0.0))
    assert step == 3
    assert_same(found, state(3))


def test_saves_are_spaced_but_the_last_is_always_made(tmp_path):
    saved = Checkpoints(tmp_path, seconds_between=1e6)
    saved.save(1, state(1), last=False)
    assert saved.restore(state(0.0)) is None
    saved.save(2, state(2), last=True)
    assert saved.restore(state(0.0))[0] == 2


def test_a_damaged_checkpoint_is_named_in_one_line(tmp_path):
    saved = Checkpoints(tmp_path, seconds_between=0)
    saved.save(1, state(1), last=True)
    saved.close()
    damaged = [f for f in (tmp_path / "1").rglob("*") if f.is_file() and f.stat().st_size > 100]
    for file in damaged:
        file.write_bytes(file.read_bytes()[:40])
    assert damaged
    with pytest.raises(CheckpointError) as refusal:
        Checkpoints(tmp_path, seconds_between=0).restore(state(0.0))
    assert str(tmp_path / "1") in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    saved = Checkpoints(tmp_path, seconds_between=0)
    saved.save(1, state(1), last=True)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saved._manager, "save", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        saved.save(2, state(2), last=True)
    step, found = Checkpoints(tmp_path, seconds_between=0).restore(state(0.0))
    assert step == 1
    assert_same(found, state(1))
