"""Whole runs through the launcher, as a user starts them."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from experiments import launch
from experiments.configs import base
from glorot_jax import results
from glorot_jax.claims import CLAIMS
from glorot_jax.data.errors import DataError, DataMissing
from glorot_jax.report.figures import FIGURES

ROOT = Path(__file__).parents[2]
WHOLE = {"base", "paper", "full_width"}
NOT_THE_PAPERS = {"gaussians", "modern"}
CONFIGS = sorted(p.stem for p in (ROOT / "experiments/configs").glob("[a-z]*.py"))


def command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"experiments.{module}", *arguments]


def run_command(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(module, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def assert_fails_in_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in errors[0]


def test_a_run_leaves_results_claims_figures_and_page(smoke_run):
    written = results.load(smoke_run / "results.nc")
    assert results.part_names(written) == [
        *("examples", "surface", "initial", "shapeset", "digits"),
        *("selection", "section5", "costs", "baseline"),
    ]
    left_out = written.attrs["left_out"].splitlines()
    assert [line.partition(": ")[0] for line in left_out] == ["cifar10", "small_imagenet"]
    for attribute in ("config", "preset", "versions", "device", "git_revision", "wall_time_s"):
        assert attribute in written.attrs
    judged = json.loads((smoke_run / "claims.json").read_text())
    assert [entry["id"] for entry in judged] == [claim.id for claim in CLAIMS]
    assert {p.name for p in (smoke_run / "figures").iterdir()} == {
        f"{key}.{kind}" for key in set(FIGURES) - NOT_THE_PAPERS for kind in ("png", "svg")
    }
    assert (smoke_run / "index.html").stat().st_size > 10_000
    assert not list(smoke_run.rglob(".*-*")), "temporary files are left behind"


def test_every_variable_says_what_it_is(smoke_run):
    written = results.load(smoke_run / "results.nc")
    for name, variable in written.data_vars.items():
        assert variable.attrs["long_name"], name
        assert variable.attrs["units"], name


def test_results_are_those_of_finite_networks(smoke_run):
    shapeset = results.part(results.load(smoke_run / "results.nc"), "shapeset")
    assert dict(shapeset.sizes)["condition"] == 7
    for name in ("validation_error", "test_error"):
        assert np.all((shapeset[name] >= 0) & (shapeset[name] <= 1))
    histogram = shapeset["activation_histogram"].sum("bin", skipna=False)
    four_layers = shapeset["depth"] == 4
    assert np.all(np.isnan(histogram.sel(layer=5).where(four_layers, drop=True)))
    np.testing.assert_allclose(histogram.sel(layer=slice(1, 4)), 1, atol=1e-5)


def test_selection_takes_the_rate_of_least_validation_error(smoke_run):
    shapeset = results.part(results.load(smoke_run / "results.nc"), "shapeset")
    final = shapeset["validation_error"].isel(update=-1).mean("seed")
    rates = shapeset["learning_rate"].values[final.argmin("learning_rate").values]
    np.testing.assert_array_equal(shapeset["chosen_learning_rate"], rates)
    for condition, rate in zip(shapeset["condition"].values, rates, strict=True):
        np.testing.assert_array_equal(
            shapeset["final_test_error"].sel(condition=condition),
            shapeset["test_error"].sel(condition=condition, learning_rate=rate).isel(update=-1),
        )


def test_a_finished_run_is_not_measured_again(smoke_run, config, monkeypatch):
    def never(*_):
        raise AssertionError("a finished stage was measured again")

    monkeypatch.setattr(launch, "STAGES", dict.fromkeys(launch.STAGES, never))
    monkeypatch.setattr(launch, "write_report", lambda *_: smoke_run / "index.html")
    before = results.load(smoke_run / "results.nc")
    launch.run(config, str(smoke_run))
    xr.testing.assert_equal(results.load(smoke_run / "results.nc"), before)


def test_report_rebuilds_everything_from_the_results(uninterrupted, tmp_path):
    folder = uninterrupted
    (tmp_path / "results.nc").write_bytes((folder / "results.nc").read_bytes())
    done = run_command("report", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    for name in ("index.html", "claims.json", "summary.md", "figures/fig09.svg"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_every_figure_has_a_config():
    assert set(FIGURES) | {"table1", "fashion_mnist"} == set(CONFIGS) - WHOLE
    assert set(base.FIGURE_STAGES) == set(CONFIGS) - WHOLE


# Those that need neither files nor a stage that the whole smoke run has been through.
@pytest.mark.parametrize("name", ["fig01", "fig02", "fig08", "gaussians", "modern"])
def test_a_figure_s_config_runs_alone(name, tmp_path):
    page = launch.run(base.figure(name, "smoke"), str(tmp_path))
    assert page.exists()
    assert name in {p.stem for p in (tmp_path / "figures").iterdir()}


def test_figures_of_shapeset_can_be_made_of_another_set(tmp_path):
    config = base.figure("fig03", "smoke")
    config.stages = ("initial", "online")
    config.online.dataset = config.initial.dataset = "digits"
    launch.run(config, str(tmp_path))
    written = results.load(tmp_path / "results.nc")
    assert results.part(written, "initial").attrs["dataset"] == "digits"
    assert results.part(written, "digits").attrs["inputs"] == 64
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
        "launch",
        "--config=experiments/configs/fig12.py:smoke",
        "--config.stages=('cifar10',)",
        f"--data_dir={tmp_path / 'data'}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert_fails_in_one_line(done, "cifar-10-binary.tar.gz", "693 bytes")


def test_ones_own_initialiser_goes_through_every_stage(tmp_path):
    config = base.figure("gaussians", "smoke")
    config.stages = ("initial", "gaussians")
    config.own_initializers = ("jax.nn.initializers:he_uniform",)
    config.own_activations = ("jax.nn:swish",)
    launch.run(config, str(tmp_path))
    written = results.load(tmp_path / "results.nc")
    initial, trained = (results.part(written, name) for name in config.stages)
    own = initial.where(initial["initializer"] == "jax.nn.initializers:he_uniform", drop=True)
    assert own["activation"].values.tolist() == [
        *("sigmoid", "tanh", "softsign"),
        "jax.nn:swish",
    ]
    # He's uniform has a variance of 2 / fan_in.
    fan_in = own["fan_in"].values
    np.testing.assert_allclose(
        own["weight_variance"].mean(("condition", "seed")), 2 / fan_in, rtol=0.15
    )
    assert {"Tanh he_uniform", "Swish", "Swish N"} <= set(trained["condition"].values)


SMOKE = "--config=experiments/configs/paper.py:smoke"
FIG09 = (
    "--config=experiments/configs/fig09.py:smoke",
    "--config.online.updates=1600",
    "--config.online.points=8",
    "--config.checkpoint_seconds=0",
)


# Pre-training, model selection and both methods of section 5, as small as they can be.
METHODS = (
    SMOKE,
    "--config.stages=('online','selection','section5')",
    "--config.online.conditions=('tanh denoising 2',)",
    "--config.selection.conditions=('tanh normalized',)",
    "--config.section5.conditions="
    "('tanh standard 2 optimizer=hessian_diagonal','tanh standard 2 optimizer=gradient_variance')",
    "--config.checkpoint_seconds=0",
)
KILLED_AT = {
    FIG09: [*("config.json", "checkpoints/shapeset/tanh-5/2", "checkpoints/shapeset/tanh-5/5")],
    METHODS: [
        "checkpoints/shapeset/tanh-2-pretraining/layer-2/1",
        "checkpoints/selection/tanh-1/2",
        "checkpoints/section5/tanh-2-hessian_diagonal/2",
        "checkpoints/section5/tanh-2-gradient_variance/2",
    ],
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = run_command("launch", *FIG09, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def kill_after(milestone: Path, seconds: float, flags: tuple[str, ...], folder: Path) -> None:
    """Starts the run and kills it ``seconds`` after ``milestone`` is there."""
    process = subprocess.Popen(
        command("launch", *flags, f"--workdir={folder}"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not milestone.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    assert process.poll() is None, "the run ended before it could be killed"
    process.kill()
    process.wait()


def test_a_killed_run_ends_with_the_same_values(uninterrupted, tmp_path):
    assert_resumes(FIG09, uninterrupted, tmp_path)


def test_killed_pretraining_selection_and_section_5_end_with_the_same_values(tmp_path):
    whole = tmp_path / "whole"
    done = run_command("launch", *METHODS, f"--workdir={whole}")
    assert done.returncode == 0, done.stderr
    assert_resumes(METHODS, whole, tmp_path / "killed")


def assert_resumes(flags: tuple[str, ...], uninterrupted: Path, folder: Path) -> None:
    """A run killed again and again, at random moments, ends as the one that nothing stopped."""
    moments = random.Random(1)
    for milestone in KILLED_AT[flags]:
        kill_after(folder / milestone, moments.uniform(0, 0.2), flags, folder)
    done = run_command("launch", *flags, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    resumed, whole = (results.load(f / "results.nc") for f in (folder, uninterrupted))
    for name, variable in whole.variables.items():
        np.testing.assert_array_equal(resumed[name].values, variable.values, err_msg=str(name))


def test_another_config_is_refused_with_both_values(smoke_run, config):
    config.online.seeds = 3
    with pytest.raises(ValueError, match=r"config\.online\.seeds was 2 there and is 3 now"):
        launch.run(config, str(smoke_run))


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--config.online.widht=3", ["'widht'", "'width'"]),
        ("--config.online.width=wide", ["config.online.width", "wide"]),
        ("--config.online.widths=(8,8)", ["config.online.widths", "2 widths", "depth 5"]),
        ("--nonsense", ["nonsense"]),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(flag, words, tmp_path):
    workdir = tmp_path / "run"
    done = run_command("launch", SMOKE, f"--workdir={workdir}", flag)
    assert_fails_in_one_line(done, *words)
    assert not workdir.exists(), "something was written before the config was checked"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--config", "missing"]),
        ([SMOKE], ["--workdir", "missing"]),
        ([SMOKE.replace("smoke", "smok"), "--workdir=w"], ["'smok'", "smoke, quick, paper"]),
        (["--config=experiments/configs/fig99.py", "--workdir=w"], ["fig99.py"]),
    ],
)
def test_missing_and_mistyped_flags_are_one_line(arguments, words):
    assert_fails_in_one_line(run_command("launch", *arguments), *words)


def test_a_workdir_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    done = run_command("launch", SMOKE, f"--workdir={tmp_path / 'file' / 'run'}")
    assert_fails_in_one_line(done, "workdir", "file/run")


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_a_report_of_damaged_results_is_one_line(damage, smoke_run, tmp_path):
    whole = (smoke_run / "results.nc").read_bytes()
    if damage != "missing":
        damaged = whole[: len(whole) // 2] if damage == "truncated" else b"not netCDF" * 99
        (tmp_path / "results.nc").write_bytes(damaged)
    done = run_command("report", f"--workdir={tmp_path}")
    assert_fails_in_one_line(done, "results file", str(tmp_path))
    assert not (tmp_path / "index.html").exists()


def test_a_full_disk_is_one_line_and_the_run_goes_on_afterwards(tmp_path):
    fig07 = command(
        "launch", "--config=experiments/configs/fig07.py:smoke", f"--workdir={tmp_path}"
    )
    no_large_files = ["bash", "-c", 'ulimit -f 20; exec "$@"', "bash"]  # of more than 20 KiB
    full = subprocess.run(
        [*no_large_files, *fig07], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert_fails_in_one_line(full, "initial.nc", "File too large")
    assert not list(tmp_path.rglob("*.nc"))
    assert subprocess.run(fig07, cwd=ROOT, capture_output=True, timeout=300).returncode == 0
    results.load(tmp_path / "results.nc")
