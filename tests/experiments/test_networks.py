"""Networks as a config and the paper name them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.errors import ConfigError
from experiments.networks import OPTIONS, SHAPES, NetworkSpec, parse


@pytest.mark.parametrize(
    ("text", "network", "name"),
    [
        ("tanh standard", NetworkSpec("tanh", "standard"), "Tanh"),
        ("tanh normalized 5", NetworkSpec("tanh", "normalized"), "Tanh N"),
        ("sigmoid standard 4", NetworkSpec("sigmoid", "standard", 4), "Sigmoid, depth 4"),
        ("tanh denoising", NetworkSpec("tanh", "denoising"), "Tanh pre-trained"),
        (
            "relu gaussian(0.1) 2",
            NetworkSpec("relu", "gaussian(0.1)", 2),
            "Relu gaussian(0.1), depth 2",
        ),
        (
            "tanh standard optimizer=hessian_diagonal shape=growing",
            NetworkSpec("tanh", "standard", 5, "hessian_diagonal", "growing"),
            "Tanh, Hessian rates, growing",
        ),
        (
            "tanh uniform(1/3,0.003) optimizer=adam pixels=whitened",
            NetworkSpec("tanh", "uniform(1/3,0.003)", optimizer="adam", pixels="whitened"),
            "Tanh uniform(1/3,0.003), Adam, whitened inputs",
        ),
        (
            "gelu lsuv loss=quadratic",
            NetworkSpec("gelu", "lsuv", loss="quadratic"),
            "Gelu lsuv, quadratic",
        ),
        (
            "jax.nn:swish jax.nn.initializers:he_uniform",
            NetworkSpec("jax.nn:swish", "jax.nn.initializers:he_uniform"),
            "Swish he_uniform",
        ),
        # Called as one of ours, and not the same.
        ("jax.nn:tanh normalized", NetworkSpec("jax.nn:tanh", "normalized"), "jax.nn:tanh N"),
    ],
)
def test_what_a_text_means(text, network, name):
    assert parse(text, field="f") == network
    assert network.name == name


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
        ("tanh standard optimizer=adagrad", ["adagrad", "sgd"]),
        ("tanh standard pixels=grey", ["grey", "raw, whitened"]),
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
    widths = NetworkSpec("tanh", "standard", depth, shape=shape).widths(width)
    assert len(widths) == depth
    if depth > 1:
        assert abs(sum(widths) / depth - width) <= 0.5
    ordered = {"growing": sorted(widths), "shrinking": sorted(widths, reverse=True)}
    assert list(widths) == ordered.get(shape, [width] * depth)


@given(
    network=st.builds(
        NetworkSpec,
        activation=st.sampled_from(["tanh", "relu", "jax.nn:swish"]),
        scheme=st.sampled_from(["standard", "gaussian(0.1)", "denoising"]),
        depth=st.integers(1, 9),
        **{name: st.sampled_from(list(choices)) for name, choices in OPTIONS.items()},
    )
)
def test_what_is_written_is_read_again(network):
    assert parse(network.text, field="f") == network
    assert network.plain == ("=" not in network.text)
