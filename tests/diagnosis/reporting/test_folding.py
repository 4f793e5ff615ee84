"""Every row is in one line of a folded table, and lines hold rows that are alike."""

from hypothesis import given
from hypothesis import strategies as st

from glorot_jax.diagnosis.reporting.folding import folded

NAMES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("qkvo")), min_size=1, unique=True)


def _members(lines):
    return [(line.name, line.members) for line in lines]


def test_layers_whose_names_differ_in_a_number():
    names = [f"block_{i}/{part}" for i in range(3) for part in "qk"] + ["head"]
    assert _members(folded(names, [0] * 7)) == [
        ("block_0..2/q x3", (0, 2, 4)),
        ("block_0..2/k x3", (1, 3, 5)),
        ("head", (6,)),
    ]


def test_steps_of_a_scan():
    names = [f"layers/w[{i}]" for i in range(4)]
    assert _members(folded(names, [0] * 4)) == [("layers/w[0..3] x4", (0, 1, 2, 3))]


def test_a_row_of_another_kind_parts_them():
    names = [f"layers_{i}/w" for i in range(9)]
    kinds = ["", "", "", "", "!!", "", "", "", ""]
    assert _members(folded(names, kinds)) == [
        ("layers_0..3/w x4", (0, 1, 2, 3)),
        ("layers_4/w", (4,)),
        ("layers_5..8/w x4", (5, 6, 7, 8)),
    ]


def test_two_alike_are_not_worth_a_fold():
    assert _members(folded(["a0", "a1"], [0, 0])) == [("a0", (0,)), ("a1", (1,))]


@given(NAMES, st.data())
def test_each_row_is_in_one_line(parts, data):
    names = [f"block_{i}/{part}" for i, part in parts]
    kinds = [data.draw(st.integers(0, 1)) for _ in names]
    lines = folded(names, kinds)
    assert sorted(row for line in lines for row in line.members) == list(range(len(names)))
    for line in lines:
        assert len({kinds[row] for row in line.members}) == 1
        assert len({names[row].split("/")[1] for row in line.members}) == 1
        assert list(line.members) == sorted(line.members)
