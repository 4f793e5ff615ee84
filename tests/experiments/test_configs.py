"""Every config by itself: figures alone, on other sets, with one's own, without their data."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import configs, launch
from experiments.configs import base, long
from experiments.data.errors import DataError, DataMissing
from experiments.errors import ConfigError
from experiments.exhibits import EXHIBITS
from experiments.measurements.trained import conditions
from experiments.report.figures import FIGURES
from experiments.results import schema
from experiments.validate import validate
from tests.commands import ROOT, assert_fails_in_one_line, run_command


def loaded(name: str) -> ConfigDict:
    """The config that ``--config=name`` loads."""
    file, _, argument = configs.path(name).partition(":")
    return runpy.run_path(file)["get_config"](*filter(None, [argument]))


@pytest.mark.parametrize("key", FIGURES)
def test_every_figure_has_a_config(key):
    assert loaded(f"{key}:smoke") == base.figure(key, "smoke")


def test_a_config_has_a_short_name():
    assert loaded("paper") == base.paper("quick")
    assert loaded("paper:smoke") == base.paper("smoke")
    assert loaded("full_width").name == "full_width"
    assert loaded("long").online.updates == 5_000_000
    assert loaded("long:short").preset == "short"
    file = str(ROOT / "experiments/configs/figure.py")
    assert configs.path("fig03:quick") == f"{file}:fig03,quick"
    assert configs.path(f"{file}:fig03,quick") == f"{file}:fig03,quick"
    assert loaded(file) == base.paper("quick")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fig99:quick", "config: 'fig99' is not one of paper, full_width, long, fig01, "),
        ("fig03:quik", "preset: 'quik' is not one of smoke, quick, paper"),
        ("fig03:", "preset: '' is not one of smoke"),
        ("long:quick", "preset: 'quick' is not one of full, short, selection, wide"),
        ("no/such.py:quick", "config: no/such.py is not a file"),
    ],
)
def test_a_mistyped_config_is_named_with_what_there_is(name, message):
    with pytest.raises(ConfigError, match=message):
        configs.path(name)


def test_the_list_has_a_line_each():
    lines = configs.listing().splitlines()
    named = [line.split()[0] for line in lines if line.startswith("  ")]
    assert named == ["paper", "full_width", "long", *EXHIBITS, *base.PRESETS, *long.PRESETS]
    done = run_command("experiments.launch", "--list")
    assert (done.returncode, done.stdout.splitlines()) == (0, lines)


@pytest.mark.parametrize("preset", long.PRESETS)
def test_every_long_run_is_one_that_can_be_run(preset):
    config = long.get_config(preset)
    validate(config)
    networks = {spec.text for spec in conditions(config.online, field="conditions")}
    assert set(config.online.network_learning_rates) in (set(), networks)


# Those that need neither files nor a stage that the whole smoke run has been through.
@pytest.mark.parametrize("name", ["gaussians", "modern"])
def test_a_figure_s_config_runs_alone(name, tmp_path):
    config = base.figure(name, "smoke")
    # A theory for each of 28 networks of 5 layers takes longer than all the rest.
    config.initial.activations = config.initial.activations[-1:]
    config.initial.initializers = config.initial.initializers[-2:]
    config.initial.depth = 2
    page = launch.run(config, str(tmp_path))
    assert page.exists()
    assert name in {p.stem for p in (tmp_path / "figures").iterdir()}


OURS = ("plateau", "adam", "first_layer")


@pytest.mark.parametrize("preset", base.PRESETS)
@pytest.mark.parametrize("name", OURS)
def test_our_own_experiments_are_ones_that_can_be_run(name, preset):
    config = base.figure(name, preset)
    validate(config)
    assert config.stages == (name,)
    assert name not in base.paper(preset).stages
    if preset == "quick":
        assert config[name].seeds == 5


def test_our_own_experiments_run_and_are_judged_apart(tmp_path):
    config = base.paper("smoke")
    config.name, config.stages = "plateau", OURS
    for name in OURS:
        settings = config[name]
        settings.conditions = tuple(f"{text} 2" for text in settings.conditions if "=" not in text)
        settings.points = 2
        settings.dataset = "digits"  # whose programs are quicker to compile than Shapeset's
    config.adam.conditions += ("tanh standard 2 optimizer=adam",)
    config.first_layer.conditions += (
        "tanh standard 2 optimizer=first_frozen",
        "tanh standard 2 pixels=whitened",
    )
    launch.run(config, str(tmp_path))
    written = schema.load(tmp_path / "results.nc")
    assert list(written.children) == list(OURS)
    assert set(OURS) <= {p.stem for p in (tmp_path / "figures").iterdir()}
    assert "our-adam-ends-lower" in (tmp_path / "our_claims.json").read_text()
    group = schema.find_group(written, "first_layer")
    usual, frozen, whitened = group["activation_std"].sel(layer=1).values
    np.testing.assert_array_equal(frozen, frozen[:, :1] + 0 * frozen)  # it never moves
    assert np.ptp(usual, axis=1).min() > 1e-4
    np.testing.assert_array_equal(frozen[:, 0], usual[:, 0])
    assert np.abs(whitened[:, 0] / usual[:, 0] - 1).min() > 1e-3
    saturated = group["activation_saturated"].sel(layer=1).values
    assert np.isfinite(saturated).all()


def test_figures_of_shapeset_can_be_made_of_another_set(tmp_path):
    config = base.figure("fig03", "smoke")
    config.stages = ("initial", "online")
    config.initial.activations = ("tanh",)
    config.initial.depth = 2
    config.online.conditions = tuple(f"{text} 2" for text in config.online.conditions)
    config.online.dataset = config.initial.dataset = "digits"
    launch.run(config, str(tmp_path))
    written = schema.load(tmp_path / "results.nc")
    assert schema.find_group(written, "initial").attrs["dataset"] == "digits"
    assert schema.find_group(written, "digits").attrs["inputs"] == 64
    drawn = {p.stem for p in (tmp_path / "figures").iterdir()}
    assert {"fig03", "fig04", "fig06", "fig07", "fig08"} <= drawn


def test_a_set_that_cannot_be_had_is_an_error_where_it_is_what_was_asked_for(tmp_path):
    config = base.figure("fashion_mnist", "smoke")
    config.data_dir = str(tmp_path / "data")
    config.fashion_mnist.download = False
    with pytest.raises(DataMissing, match="fashion_mnist"):
        launch.run(config, str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("mnist", "train-images-idx3-ubyte.gz"),
        ("fashion_mnist", "fashion_mnist/train-images-idx3-ubyte.gz"),
        ("cifar10", "cifar-10-binary.tar.gz"),
        ("small_imagenet", "imagenette_grey37.npz"),
    ],
)
def test_a_damaged_data_file_is_an_error_even_where_the_set_is_optional(stage, file, tmp_path):
    damaged = tmp_path / "data/downloads/manual" / file
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged" * 99)
    config = base.figure("table1", "smoke")
    config.stages = (stage,)
    config.data_dir = str(tmp_path / "data")
    config[stage].download = False
    with pytest.raises(DataError, match=Path(file).name) as refusal:
        launch.run(config, str(tmp_path / "run"))
    assert not isinstance(refusal.value, DataMissing)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run/results.nc").exists()


def test_a_damaged_data_file_is_one_line_and_status_2(tmp_path):
    damaged = tmp_path / "data/downloads/manual/cifar-10-binary.tar.gz"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged" * 99)
    done = run_command(
        "experiments.launch",
        "--config=fig12:smoke",
        "--config.stages=('cifar10',)",
        f"--data_dir={tmp_path / 'data'}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert_fails_in_one_line(done, "cifar-10-binary.tar.gz", "693 bytes")


def test_ones_own_initialiser_goes_through_every_stage(tmp_path):
    config = base.figure("gaussians", "smoke")
    config.stages = ("initial", "gaussians")
    config.initial.activations, config.gaussians.conditions = ("tanh",), ("tanh standard",)
    config.initial.initializers, config.initial.depth = ("standard",), 3
    config.custom_initializers = ("jax.nn.initializers:he_uniform",)
    config.custom_activations = ("jax.nn:swish",)
    launch.run(config, str(tmp_path))
    written = schema.load(tmp_path / "results.nc")
    initial, trained = (schema.find_group(written, name) for name in config.stages)
    own = initial.where(initial["initializer"] == "jax.nn.initializers:he_uniform", drop=True)
    assert own["activation"].values.tolist() == ["tanh", "jax.nn:swish"]
    # He's uniform has a variance of 2 / fan_in.
    fan_in = own["fan_in"].values
    np.testing.assert_allclose(
        own["weight_variance"].mean(("condition", "seed")), 2 / fan_in, rtol=0.15
    )
    assert {"Tanh he_uniform", "Swish", "Swish N"} <= set(trained["condition"].values)
