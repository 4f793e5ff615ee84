"""Names in a table and in a sentence stand for one label each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glorot_jax.diagnosis.reporting.names import names_of, shortened, shortened_all

PARTS = st.sampled_from(["params", "block_0", "block_1", "dense", "kernel", "w", "0"])
LABELS = st.lists(st.lists(PARTS, min_size=1, max_size=5).map("/".join), min_size=1, unique=True)


@pytest.mark.parametrize(
    ("labels", "cut"),
    [
        (["params/a/kernel", "params/b/kernel"], ["a/kernel", "b/kernel"]),
        (["params/a/kernel[0]", "params/a/kernel[1]"], ["a/kernel[0]", "a/kernel[1]"]),
        (["params/a/kernel"], ["a/kernel"]),
        (["layers/0/w", "layers/1/w"], ["layers/0/w", "layers/1/w"]),
        (["m/a/g+m/a/v", "m/b/w"], ["a/g+a/v", "b/w"]),
        (["w", "v"], ["w", "v"]),
    ],
)
def test_the_shared_prefix_is_cut(labels, cut):
    names = names_of(labels)
    assert [names.cut(label) for label in labels] == cut


@given(LABELS)
def test_what_is_cut_still_tells_labels_apart(labels):
    names = names_of(labels)
    cut = [names.cut(label) for label in labels]
    assert len(set(cut)) == len(labels)
    assert all(label == names.prefix + short for label, short in zip(labels, cut, strict=True))


@given(st.text(min_size=1), st.integers(5, 60))
def test_a_shortened_name_keeps_both_ends(name, longest):
    short = shortened(name, longest)
    assert len(short) == min(len(name), longest)
    assert name.startswith(short.split("…")[0]) or "…" in name
    assert short == name or short[-1] == name[-1]


def test_names_that_would_become_the_same_stay():
    names = ["a" * 30 + "1" + "b" * 30, "a" * 30 + "2" + "b" * 30, "c" * 61]
    assert shortened_all(names, 21) == [*names[:2], "c" * 10 + "…" + "c" * 10]


def test_sentences_hold_no_long_names():
    fused = "+".join(f"params/layer_{i}/kernel" for i in range(8))
    names = names_of([fused, "params/head/kernel"])
    said = names.in_words(f"{fused} is far larger than params/head/kernel, not params")
    assert "head/kernel, not params" in said
    assert len(said) < 90
