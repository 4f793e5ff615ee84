"""What processes do together, where there is one; the tests called test_two_processes have two."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import NamedSharding, PartitionSpec

from experiments.data.errors import DataMissing
from glorot_jax import process_flags, processes
from glorot_jax.training.ensemble import AXIS, member_mesh


def test_one_process_is_the_first_and_does_all_itself():
    assert processes.is_first()
    assert not processes.several()
    assert processes.first(lambda: 3) == 3
    assert processes.from_all("a") == ["a"]
    np.testing.assert_array_equal(processes.agree([1, 2**40]), [[1, 2**40]])
    with pytest.raises(DataMissing, match="no set; make it"):
        processes.first(_missing)


def _missing():
    raise DataMissing("no set", "make it")


def test_an_error_of_the_first_process_is_the_same_in_the_others():
    sent = processes._sendable(DataMissing("no set", "make it"))
    assert isinstance(sent, DataMissing)

    class Unsendable(ValueError):
        def __init__(self):
            super().__init__("of a kind that no other process knows")

    sent = processes._sendable(Unsendable())
    assert (type(sent), str(sent)) == (ValueError, "of a kind that no other process knows")


@given(count=st.integers(0, 40), size=st.integers(1, 9))
def test_every_item_is_one_process_s_and_the_shares_are_even(count, size):
    shares = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "several", lambda: True)
        patch.setattr(jax, "process_count", lambda: size)
        for number in range(size):
            patch.setattr(jax, "process_index", lambda number=number: number)
            shares.append(processes.share(count))
    assert [item for share in shares for item in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_what_is_placed_comes_back_whole():
    tree = {"x": np.arange(8.0, dtype=np.float32), "key": jax.random.split(jax.random.key(0), 4)}
    sharding = NamedSharding(member_mesh(), PartitionSpec(AXIS))
    placed = processes.place(tree, sharding)
    assert placed["x"].sharding == sharding
    back = processes.on_host(placed)
    np.testing.assert_array_equal(back["x"], tree["x"])
    assert jnp.all(jax.random.key_data(back["key"]) == jax.random.key_data(tree["key"]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"process_id": 1}, "--process_id is for --distributed, which isn't given"),
        ({"distributed": True, "num_processes": 0}, "num_processes: 0 is not a positive number"),
        (
            {"distributed": True, "num_processes": 2, "process_id": 2},
            "process_id: 2 is not in 0..num_processes - 1",
        ),
    ],
)
def test_flags_that_make_no_sense_are_refused(given, words):
    flags.FLAGS.mark_as_parsed()
    with flagsaver.flagsaver(**given), pytest.raises(ValueError, match=words):
        process_flags.connect_if_asked()
