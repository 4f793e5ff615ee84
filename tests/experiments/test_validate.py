"""Every field that can be wrong is named, with its value and what is allowed."""

import pytest

from experiments.configs import base
from experiments.errors import ConfigError
from experiments.exhibits import EXHIBITS
from experiments.validate import validate


@pytest.mark.parametrize("preset", base.PRESETS)
@pytest.mark.parametrize("name", [base.WHOLE, *EXHIBITS])
def test_every_config_is_valid(name, preset):
    validate(base.named(name, preset))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("stages", ("fig99",), ["fig99", "examples, surface"]),
        ("stages", (), ["empty"]),
        ("seed", -1, ["-1", "at least 0"]),
        ("pixel_range", (1.0, 1.0), ["1.0", "increasing"]),
        ("examples.count", 0, ["0", "positive"]),
        ("surface.grid", 1, ["1", "at least 2"]),
        ("initial.width", -1, ["-1", "positive"]),
        ("initial.activations", ("swish",), ["swish", "sigmoid, tanh, softsign"]),
        ("initial.initializers", ("xavier",), ["xavier", "standard, normalized"]),
        ("initial.jacobian_examples", 51, ["51", "50"]),
        ("online.dataset", "svhn", ["svhn", "shapeset, mnist"]),
        ("online.fallback", "zeros", ["zeros", "digits"]),
        ("mnist.dataset", "cifar10", ["cifar10", "config.cifar10"]),
        ("initial.dataset", "svhn", ["svhn", "shapeset, mnist"]),
        ("initial.initializers", ("denoising",), ["denoising", "trained"]),
        ("examples.sets", ("svhn",), ["svhn", "mnist, cifar10"]),
        ("custom_initializers", ("my_init",), ["my_init", "package.module:name"]),
        ("custom_initializers", ("no.such:thing",), ["no.such:thing"]),
        ("custom_activations", ("jax.nn:no_such",), ["jax.nn:no_such"]),
        ("selection.depths", (1, 0), ["0", "at least 1"]),
        ("section5.optimizer_learning_rates.gradient_variance", (0.0,), ["0.0", "positive"]),
        ("online.pretraining.corruption", 1.0, ["1.0", "[0, 1)"]),
        ("online.pretraining.learning_rate", -1.0, ["-1.0", "positive"]),
        ("online.pretraining.updates", 15, ["15", "multiple of 10"]),
        ("baseline.svm_c", (), ["empty"]),
        ("baseline.training_examples", 50, ["100", "50"]),
        ("online.loss", "hinge", ["hinge", "cross_entropy, quadratic"]),
        ("online.width", 0, ["0", "positive"]),
        ("online.updates", -10, ["-10", "positive"]),
        ("online.updates", 45, ["45", "multiple of 10"]),
        ("online.batch_size", 7, ["7", "100"]),
        ("online.widths", (8, 8), ["2 widths", "depth 5"]),
        ("online.learning_rates", (0.1, -0.1), ["-0.1", "positive"]),
        ("online.learning_rates", (float("nan"),), ["nan", "positive"]),
        ("online.learning_rates", (float("inf"),), ["inf", "positive"]),
        ("online.learning_rates", (), ["empty"]),
        ("online.conditions", ("tanh xavier",), ["xavier", "standard, normalized"]),
        ("online.conditions", ("swish standard",), ["swish", "sigmoid, tanh"]),
        ("online.conditions", ("tanh standard 0",), ["0", "positive"]),
        ("online.conditions", ("tanh",), ["tanh", "activation initializer"]),
        ("online.conditions", ("tanh standard", "tanh standard 5"), ["repeats"]),
        ("online.probe_examples", 101, ["101", "100"]),
    ],
)
def test_a_bad_field_is_named_with_its_value(field, value, words):
    config = base.paper("smoke")
    with config.ignore_type():
        config.update_from_flattened_dict({field: value})
    with pytest.raises(ConfigError) as refusal:
        validate(config)
    message = str(refusal.value)
    named = {
        "mnist.dataset": "cifar10.dataset",
        "baseline.training_examples": "baseline.block_size",
    }
    assert message.startswith(f"config.{named.get(field, field)}")
    assert "\n" not in message
    for word in words:
        assert word in message
