"""Checkpoints that can't be used or written end in one line, and lose nothing."""

import errno
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.checkpoint import CheckpointError, Checkpoints, Place

WHOSE = {"config": "0123abcd", "stage": "online", "members": [[0, "tanh standard", 0.1]]}


def state(scale: float) -> dict:
    key = jax.random.key(3)
    return {"weights": scale * jax.random.normal(key, (50, 7)), "key": key, "count": np.arange(4)}


def checkpoints(folder, *, seconds_between=0.0, **changed) -> Checkpoints:
    return Checkpoints(Place(folder, WHOSE | changed, seconds_between))


def restore(saved: Checkpoints) -> tuple | None:
    return saved.restore(lambda: state(0.0))


def assert_same(found: dict, wanted: dict) -> None:
    np.testing.assert_array_equal(found["weights"], wanted["weights"])
    np.testing.assert_array_equal(found["count"], wanted["count"])
    assert jnp.all(jax.random.key_data(found["key"]) == jax.random.key_data(wanted["key"]))


@pytest.fixture
def saved_once(tmp_path):
    """A folder that holds one checkpoint, of step 1."""
    checkpoints(tmp_path).save(1, state(1))
    return tmp_path


def assert_refused(folder, *words, **changed) -> None:
    with pytest.raises(CheckpointError) as refusal:
        restore(checkpoints(folder, **changed))
    for word in (str(folder / "1.npz"), *words):
        assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_newest_state_comes_back_bit_for_bit(tmp_path):
    saved = checkpoints(tmp_path)
    assert restore(saved) is None
    for step in (1, 2, 10):
        saved.save(step, state(step))
    step, found = restore(checkpoints(tmp_path))
    assert step == 10
    assert_same(found, state(10))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10.npz", "2.npz"]


def test_a_save_is_due_when_enough_time_has_passed(tmp_path):
    assert not checkpoints(tmp_path, seconds_between=1e6).due()
    saved = checkpoints(tmp_path, seconds_between=0.05)
    saved.save(1, state(1))
    assert not saved.due()
    time.sleep(0.06)
    assert saved.due()


@pytest.mark.parametrize("kept", [40, 600, -1])
def test_a_cut_checkpoint_is_named_in_one_line(saved_once, kept):
    file = saved_once / "1.npz"
    file.write_bytes(file.read_bytes()[:kept])
    assert_refused(saved_once, "checksum is missing")


def test_a_flipped_bit_is_refused_wherever_it_is(saved_once):
    file = saved_once / "1.npz"
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        assert_refused(saved_once, "its checksum is")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("config", "another"),
        ("stage", "mnist"),
        ("members", [[0, "mine:tanh standard", 0.1]]),
        ("program", "tanh-5"),
    ],
)
def test_another_s_checkpoint_is_refused_with_both_values(saved_once, field, value):
    assert_refused(saved_once, field, str(value), str(WHOSE.get(field, "absent")), **{field: value})


@pytest.mark.parametrize("change", ["shape", "dtype", "more", "fewer"])
def test_other_arrays_are_refused(saved_once, change):
    like = state(0.0)
    if change == "shape":
        like["weights"] = like["weights"][1:]
    elif change == "dtype":
        like["count"] = like["count"].astype(np.int32)
    elif change == "more":
        like["bias"] = np.zeros(3)
    else:
        del like["count"]
    with pytest.raises(CheckpointError, match=r"another run: .* now; remove it") as error:
        checkpoints(saved_once).restore(lambda: like)
    assert "\n" not in str(error.value)


def test_a_full_disk_keeps_the_checkpoint_before(saved_once, monkeypatch):
    saved = checkpoints(saved_once)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match="No space left on device"):
            saved.save(2, state(2))
    step, found = restore(checkpoints(saved_once))
    assert step == 1
    assert_same(found, state(1))
