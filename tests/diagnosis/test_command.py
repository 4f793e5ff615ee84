"""The command that diagnoses a model: what it writes, and how it ends."""

import pytest
import xarray as xr

from tests.commands import assert_fails_in_one_line, run_command


def _diagnose(name, workdir, *more):
    model = f"--model=tests.diagnosis.diagnosed:{name}"
    return run_command("glorot_jax.diagnosis", model, f"--workdir={workdir}", *more)


def test_a_healthy_model_ends_well(tmp_path):
    done = _diagnose("healthy", tmp_path / "new", "--seeds=3")
    assert done.returncode == 0, done.stderr
    assert "nothing to find fault with" in done.stdout
    assert done.stdout.splitlines()[-1] == f"page: {tmp_path / 'new' / 'report.html'}"
    data = xr.load_dataset(tmp_path / "new" / "report.nc")
    assert data.sizes["seed"] == 3
    assert data.sigma_mean.notnull().all()
    assert "tests.diagnosis.diagnosed:healthy" in (tmp_path / "new" / "report.html").read_text()


def test_a_severe_finding_is_exit_status_1(tmp_path):
    done = _diagnose("sick", tmp_path, "--nospectra")
    assert done.returncode == 1, done.stderr
    assert "severe: the signal vanishes forward" in " ".join(done.stdout.split())
    assert (tmp_path / "report.html").is_file()
    assert "sigma_mean" not in xr.load_dataset(tmp_path / "report.nc")


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("nothing", (), ("--model", "returns a NoneType, not a glorot_jax.Model")),
        ("failing", (), ("--model", "fails (RuntimeError: no such checkpoint)")),
        ("missing", (), ("--model", "there is no missing in tests.diagnosis.diagnosed")),
        ("of_integers", (), ("apply_fn", "not logits of a float type")),
        ("healthy", ("--seeds=0",), ("seeds: 0 is not a positive number",)),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(name, more, words, tmp_path):
    assert_fails_in_one_line(_diagnose(name, tmp_path / "new", *more), *words)
    assert not (tmp_path / "new" / "report.html").exists()


def test_flags_that_are_missing(tmp_path):
    assert_fails_in_one_line(
        run_command("glorot_jax.diagnosis", f"--workdir={tmp_path}"), "--model is missing"
    )
