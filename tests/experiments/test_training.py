"""When a run is measured."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.training import SPACINGS, schedule

laws = settings(max_examples=100, deadline=None, derandomize=True)


@given(
    spacing=st.sampled_from(sorted(SPACINGS)), points=st.integers(1, 300), more=st.integers(0, 99)
)
@laws
def test_points_are_distinct_and_end_with_the_run(spacing, points, more):
    made = schedule(
        updates=10 * points * (1 + more),
        points=points,
        block_size=50,
        batch_size=5,
        spacing=spacing,
    )
    assert made.updates[0] == 0
    assert made.updates[-1] == 10 * points * (1 + more)
    assert len(made.updates) == points + 1
    assert (made.blocks[1:] >= 1).all()


def test_early_points_grow_by_a_factor_and_then_by_a_step():
    done = schedule(
        updates=5_000_000, points=250, block_size=1000, batch_size=10, spacing="early"
    ).updates
    assert done[1] == 100
    assert done[125] == 500_000
    np.testing.assert_allclose(done[101:126] / done[100:125], 5000 ** (1 / 124), rtol=0.02)
    assert set(np.diff(done[125:])) == {36_000}


def test_even_points_are_a_step_apart():
    made = schedule(updates=400, points=4, block_size=100, batch_size=10)
    np.testing.assert_array_equal(made.updates, [0, 100, 200, 300, 400])
