"""Conditions as a config writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.conditions import SHAPES, Condition, parse
from experiments.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "condition", "label"),
    [
        ("tanh standard", Condition("tanh", "standard"), "Tanh"),
        ("tanh normalized 5", Condition("tanh", "normalized"), "Tanh N"),
        ("sigmoid standard 4", Condition("sigmoid", "standard", 4), "Sigmoid, depth 4"),
        ("tanh denoising", Condition("tanh", "denoising"), "Tanh pre-trained"),
        (
            "relu gaussian(0.1) 2",
            Condition("relu", "gaussian(0.1)", 2),
            "Relu gaussian(0.1), depth 2",
        ),
        (
            "tanh standard optimizer=hessian_diagonal shape=growing",
            Condition("tanh", "standard", 5, "hessian_diagonal", "growing"),
            "Tanh, Hessian rates, growing",
        ),
        (
            "gelu lsuv loss=quadratic",
            Condition("gelu", "lsuv", loss="quadratic"),
            "Gelu lsuv, quadratic",
        ),
        (
            "jax.nn:swish jax.nn.initializers:he_uniform",
            Condition("jax.nn:swish", "jax.nn.initializers:he_uniform"),
            "Swish he_uniform",
        ),
    ],
)
def test_what_a_text_means(text, condition, label):
    assert parse(text, field="f") == condition
    assert condition.label == label


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tanh", ["tanh", "activation initializer"]),
        ("tanh standard 5 5", ["5 5"]),
        ("tanh standard five", ["five", "positive integer"]),
        ("swish standard", ["swish", "sigmoid, tanh"]),
        ("tanh xavier", ["xavier", "standard, normalized"]),
        ("tanh gaussian(wide)", ["gaussian(wide)", "wide", "number"]),
        ("tanh no.such:thing", ["no.such:thing", "no module"]),
        ("tanh jax.nn:no_such", ["jax.nn:no_such", "no_such"]),
        ("jax.nn:no_such standard", ["jax.nn:no_such"]),
        ("tanh standard optimizer=adam", ["adam", "sgd"]),
        ("tanh standard shape=round", ["round", "growing"]),
        ("tanh standard colour=red", ["colour", "optimizer"]),
    ],
)
def test_what_is_wrong_is_named(text, words):
    with pytest.raises(ConfigError) as refusal:
        parse(text, field="config.online.conditions")
    message = str(refusal.value)
    assert message.startswith("config.online.conditions: ")
    assert "\n" not in message
    for word in words:
        assert word in message


@given(
    shape=st.sampled_from(sorted(SHAPES)),
    depth=st.integers(1, 8),
    width=st.integers(2, 2000),
)
def test_shapes_keep_the_mean_width_and_their_direction(shape, depth, width):
    widths = Condition("tanh", "standard", depth, shape=shape).widths(width)
    assert len(widths) == depth
    if depth > 1:
        assert abs(sum(widths) / depth - width) <= 0.5
    ordered = {"growing": sorted(widths), "shrinking": sorted(widths, reverse=True)}
    assert list(widths) == ordered.get(shape, [width] * depth)
