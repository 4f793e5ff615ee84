"""Every field that can be wrong is named, with its value and what is allowed."""

import pytest
from absl import flags
from ml_collections import config_flags

from experiments import config_flag
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
        ("selection.depths", (1, 0), ["0", "1..10000"]),
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
        ("stages", ("online", "online"), ["online", "twice"]),
        ("initial.depth", 10**9, ["1000000000", "1..10000"]),
        ("online.depths", (10**9,), ["1000000000", "1..10000"]),
        ("online.conditions", (f"tanh standard {'9' * 40}",), ["9" * 40, "1..10000"]),
        ("online.conditions", ("tanh standard loss=quadratic loss=quadratic",), ["loss", "twice"]),
        ("online.learning_rates", (1e300,), ["1e+300", "float32"]),
        ("online.learning_rates", (1e-320,), ["e-320", "float32"]),
        ("initial.initializers", ("gaussian(1e-320)",), ["gaussian(1e-320)", "float32"]),
        ("online.conditions", ("tanh jax.nn.initializers:ones",), ["ones", "every key", "2 seeds"]),
        ("initial.initializers", ("jax.nn.initializers:zeros",), ["zeros", "every key"]),
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


def test_one_seed_may_do_without_its_key():
    config = base.paper("smoke")
    config.initial.initializers, config.initial.seeds = ("jax.nn.initializers:ones",), 1
    validate(config)


EXITS = {
    "at its import": "import sys\nsys.exit(0)\n",
    "when it is called": "import sys\ndef f(key, shape, dtype):\n    sys.exit(0)\n",
    "when it is made": "import sys\ndef f():\n    sys.exit(0)\n",
}


@pytest.mark.parametrize("when", EXITS)
@pytest.mark.parametrize("field", ["custom_initializers", "custom_activations"])
def test_code_that_exits_does_not_end_the_run_with_its_own_status(
    field, when, tmp_path, monkeypatch
):
    name = f"exits_{list(EXITS).index(when)}_{field}"
    (tmp_path / f"{name}.py").write_text(EXITS[when])
    monkeypatch.syspath_prepend(tmp_path)
    config = base.paper("smoke")
    config[field] = (f"{name}:f",)
    with pytest.raises(ConfigError, match=f"^config.{field}: .*{name}:f: ") as refusal:
        validate(config)
    assert "\n" not in str(refusal.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ml_collections', of import
def test_a_config_file_that_exits_is_refused(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("import sys\nsys.exit(0)\n")
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, "", flag_values=values)
    with pytest.raises(ValueError, match=f"^config: {file} exits \\(0\\)$"):
        config_flag._ByName(values["config"].parser).parse(str(file))
