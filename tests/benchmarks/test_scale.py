"""The arithmetic of docs/scale.md."""

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import scale
from glorot_jax.network import MLP, init
from tests.commands import ROOT

GRID = scale.jobs()


def test_the_grid_is_five_networks_five_depths_four_sets_three_rates_five_seeds():
    assert sum(job.members for job in GRID) == 5 * 5 * 4 * 3 * 5
    assert {job.updates for job in GRID} == {5_000_000}
    # A program has one unit and depth: sigmoid alone, tanh and softsign initialised in two ways.
    assert len(GRID) == 4 * 5 * 3
    assert sorted({job.members for job in GRID}) == [3 * 5, 2 * 3 * 5]


def test_parameters_are_those_of_the_networks():
    model = MLP((7, 5), 3)
    params = init(model, jax.random.key(0), 11)
    data = scale.DataSet("made up", 11, 3, 0)
    assert scale.parameters((7, 5), data) == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_rates_are_the_measured_one_by_bandwidth_and_bytes():
    # benchmarks/README.md: an update of 5 x 1000 moves at least 60.5 MB.
    (like_measured,) = [
        job for job in GRID if (job.data.name, job.depth, job.members) == ("shapeset", 5, 15)
    ]
    moved = like_measured.update_bytes
    assert moved == pytest.approx(60.5e6, rel=0.01)
    h200 = next(chip for chip in scale.CHIPS if chip.name == "H200")
    assert scale.rate(h200, moved) == pytest.approx(16_282)
    half = scale.Chip("half", h200.bandwidth / 2, h200.memory)
    assert scale.rate(half, 2 * moved) == pytest.approx(16_282 / 4)
    # 15 members on 8 chips: two at most on one of them.
    assert like_measured.seconds(h200, 8) == pytest.approx(2 * 5_000_000 / 16_282)


def test_nothing_is_larger_than_a_chip():
    for job in GRID:
        assert job.chip_bytes(scale.CHIPS_OF_A_JOB) / scale.GB < min(c.memory for c in scale.CHIPS)


@given(seconds=st.lists(st.floats(1, 100), min_size=1, max_size=30), slots=st.integers(1, 9))
def test_the_last_job_ends_between_what_is_possible_and_what_is_certain(seconds, slots):
    end = scale.makespan(seconds, slots)
    assert end >= max(max(seconds), sum(seconds) / slots) * (1 - 1e-9)
    assert end <= max(seconds) + sum(seconds) / slots


def test_the_page_has_these_numbers():
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert scale.byte_table() in page
    assert scale.time_table() in page
