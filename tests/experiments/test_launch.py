"""Whole runs through the launcher: what they leave behind, and what they refuse."""

import json
import subprocess

import numpy as np
import pytest
import xarray as xr

from experiments import launch, running
from experiments.claims import CLAIMS
from experiments.report.figures import FIGURES
from experiments.results import schema
from tests.commands import ROOT, SMOKE, assert_fails_in_one_line, command, run_command

NOT_THE_PAPERS = {"gaussians", "modern", "plateau", "adam", "first_layer"}


def test_a_run_leaves_results_claims_figures_and_page(smoke_run):
    written = schema.load(smoke_run / "results.nc")
    assert list(written.children) == [
        *("examples", "surface", "initial", "shapeset", "digits"),
        *("selection", "section5", "costs", "baseline"),
    ]
    left_out = schema.left_out(written)
    assert list(left_out) == ["cifar10", "small_imagenet"]
    assert all(reason.startswith(f"{name}: ") for name, reason in left_out.items())
    for attribute in ("config", "preset", "versions", "device", "git_revision", "wall_time_s"):
        assert attribute in written.attrs
    assert written["digits"].attrs["training_examples"] == 1283
    assert "training_examples" not in written["shapeset"].attrs
    assert "numbers mean nothing" in (smoke_run / "index.html").read_text(encoding="utf-8")
    judged = json.loads((smoke_run / "claims.json").read_text())
    assert [entry["id"] for entry in judged] == [claim.id for claim in CLAIMS]
    assert {p.name for p in (smoke_run / "figures").iterdir()} == {
        f"{key}.{kind}" for key in set(FIGURES) - NOT_THE_PAPERS for kind in ("png", "svg")
    }
    assert (smoke_run / "index.html").stat().st_size > 10_000
    assert not list(smoke_run.rglob(".*-*")), "temporary files are left behind"


def test_every_variable_says_what_it_is(smoke_run):
    written = schema.load(smoke_run / "results.nc")
    for group, measured in schema.groups(written).items():
        for name, variable in measured.data_vars.items():
            assert variable.attrs["long_name"], (group, name)
            assert variable.attrs["units"], (group, name)


def test_results_are_those_of_finite_networks(smoke_run):
    shapeset = schema.find_group(schema.load(smoke_run / "results.nc"), "shapeset")
    assert dict(shapeset.sizes)["condition"] == 7
    for name in ("validation_error", "test_error"):
        assert np.all((shapeset[name] >= 0) & (shapeset[name] <= 1))
    histogram = shapeset["activation_histogram"].sum("bin", skipna=False)
    four_layers = shapeset["depth"] == 4
    np.testing.assert_allclose(
        shapeset["final_test_wrong"].mean("example"), shapeset["final_test_error"], atol=1e-6
    )
    assert np.all(np.isnan(histogram.sel(layer=5).where(four_layers, drop=True)))
    np.testing.assert_allclose(histogram.sel(layer=slice(1, 4)), 1, atol=1e-5)


def test_selection_takes_the_rate_of_least_validation_error_or_the_largest(smoke_run):
    shapeset = schema.find_group(schema.load(smoke_run / "results.nc"), "shapeset")
    final = shapeset["validation_error"].isel(update=-1).mean("seed")
    rates, chosen = shapeset["learning_rate"].values, shapeset["chosen_learning_rate"].values
    least = rates[final.argmin("learning_rate").values]
    # In so short a run most have learned nothing.
    assert ((chosen == least) | (chosen == rates.max())).all()
    for condition, rate in zip(shapeset["condition"].values, chosen, strict=True):
        np.testing.assert_array_equal(
            shapeset["final_test_error"].sel(condition=condition),
            shapeset["test_error"].sel(condition=condition, learning_rate=rate).isel(update=-1),
        )


def test_a_finished_run_is_not_measured_again(smoke_run, config, monkeypatch, capsys):
    def never(*_):
        raise AssertionError("a finished stage was measured again")

    finished = {path.stem for path in (smoke_run / "checkpoints").glob("*.nc")}
    assert {"initial", "online", "section5", "baseline"} <= finished
    stages = {name: never if name in finished else run for name, run in running.STAGES.items()}
    monkeypatch.setattr(running, "STAGES", stages)
    monkeypatch.setattr(running, "write_report", never)
    before = schema.load(smoke_run / "results.nc")
    assert launch.run(config, str(smoke_run)) == smoke_run / "index.html"
    assert capsys.readouterr().err == f"nothing to do: {smoke_run} holds this run, finished\n"
    xr.testing.assert_identical(schema.load(smoke_run / "results.nc"), before)


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
    done = run_command("experiments.launch", SMOKE, f"--workdir={workdir}", flag)
    assert_fails_in_one_line(done, *words)
    assert not workdir.exists(), "something was written before the config was checked"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--config", "missing"]),
        ([SMOKE], ["--workdir", "missing"]),
        ([SMOKE.replace("smoke", "smok"), "--workdir=w"], ["'smok'", "smoke, quick, paper"]),
        (["--config=experiments/configs/fig99.py", "--workdir=w"], ["fig99.py"]),
        (["--config=fig99:quick", "--workdir=w"], ["'fig99'", "paper, full_width, long, fig01"]),
    ],
)
def test_missing_and_mistyped_flags_are_one_line(arguments, words):
    assert_fails_in_one_line(run_command("experiments.launch", *arguments), *words)


def test_an_unknown_platform_is_one_line(tmp_path):
    done = run_command(
        "experiments.launch",
        "--config=fig05:smoke",
        f"--workdir={tmp_path / 'run'}",
        env={"JAX_PLATFORMS": "abacus"},
    )
    assert_fails_in_one_line(done, "JAX_PLATFORMS", "abacus")


def test_a_workdir_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    done = run_command("experiments.launch", SMOKE, f"--workdir={tmp_path / 'file' / 'run'}")
    assert_fails_in_one_line(done, "workdir", "file/run")


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_a_report_of_damaged_results_is_one_line(damage, smoke_run, tmp_path):
    whole = (smoke_run / "results.nc").read_bytes()
    if damage != "missing":
        damaged = whole[: len(whole) // 2] if damage == "truncated" else b"not netCDF" * 99
        (tmp_path / "results.nc").write_bytes(damaged)
    done = run_command("experiments.report", f"--workdir={tmp_path}")
    assert_fails_in_one_line(done, "results file", str(tmp_path))
    assert not (tmp_path / "index.html").exists()


def test_a_full_disk_is_one_line_and_the_run_goes_on_afterwards(tmp_path):
    small = (
        "--config.initial.depth=2",
        "--config.initial.seeds=2",
        "--config.initial.activations=('tanh',)",
    )
    fig07 = ("experiments.launch", "--config=fig07:smoke", f"--workdir={tmp_path}", *small)
    no_large_files = ["bash", "-c", 'ulimit -f 20; exec "$@"', "bash"]  # of more than 20 KiB
    full = subprocess.run(
        [*no_large_files, *command(*fig07)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert_fails_in_one_line(full, "initial.nc", "File too large")
    assert not list(tmp_path.rglob("*.nc"))
    assert run_command(*fig07).returncode == 0
    schema.load(tmp_path / "results.nc")
