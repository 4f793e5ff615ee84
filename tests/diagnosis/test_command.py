"""The command that diagnoses a model: what it writes, and how it ends."""

import io
import logging
import os
import subprocess
import sys

import pytest
import xarray as xr

import glorot_jax
from glorot_jax.steps import steps_shown
from tests.commands import ROOT, assert_fails_in_one_line, run_command

HEALTHY = "tests.diagnosis.diagnosed:healthy"


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
    done = _diagnose("sick", tmp_path, "--spectra=none")
    assert done.returncode == 1, done.stderr
    assert "severe (won't train): the signal vanishes" in " ".join(done.stdout.split())
    assert (tmp_path / "report.html").is_file()
    assert "sigma_mean" not in xr.load_dataset(tmp_path / "report.nc")


def test_what_is_deliberate_is_no_fault(tmp_path):
    """Said in the model or by the flag; and a warning counts where it is asked to."""
    for name, more, status in (
        ("deliberate", (), 0),
        ("sick", ("--ignore=vanishing forward,nothing/*",), 0),
        ("warned", (), 0),
        ("warned", ("--warnings",), 1),
    ):
        done = _diagnose(name, tmp_path, "--spectra=none", *more)
        assert done.returncode == status, (name, done.stdout, done.stderr)


def test_programs_are_kept_for_the_next_time(tmp_path):
    """In the user's cache; without one, or where it can't be written, nothing is said of it."""
    for home in (tmp_path, tmp_path / "file"):
        (tmp_path / "file").write_text("no folder")
        environment = {**os.environ, "XDG_CACHE_HOME": str(home), "HOME": str(home)}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        done = subprocess.run(
            [sys.executable, "-m", "glorot_jax.diagnosis", f"--model={HEALTHY}", "--spectra=none"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "glorot_jax" / "programs").iterdir())


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("nothing", (), ("--model", "returns a NoneType, not a glorot_jax.Model")),
        ("failing", (), ("--model", "fails (RuntimeError: no such checkpoint)")),
        ("missing", (), ("--model", "there is no missing in tests.diagnosis.diagnosed")),
        ("of_integers", (), ("apply_fn", "not outputs of a float type")),
        ("healthy", ("--seeds=0",), ("seeds: 0 is not a positive number",)),
        ("healthy", ("--batch=1",), ("batch: 1 is not a number of examples, 2 or more",)),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(name, more, words, tmp_path):
    assert_fails_in_one_line(_diagnose(name, tmp_path / "new", *more), *words)
    assert not (tmp_path / "new" / "report.html").exists()


def test_flags_that_are_missing(tmp_path):
    assert_fails_in_one_line(
        run_command("glorot_jax.diagnosis", f"--workdir={tmp_path}"), "--model is missing"
    )


def test_without_a_folder_only_the_table_is_printed(tmp_path):
    model = tmp_path / "mine.py"
    model.write_text("from tests.diagnosis.diagnosed import healthy\n")
    done = _glorot_jax("diagnose", "--model=mine:healthy", "--spectra=none", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "nothing to find fault with" in done.stdout
    assert done.stderr == ""  # steps are shown on a terminal only
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["mine.py"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("usage: glorot-jax COMMAND", "diagnose")),
        (("--help",), ("usage: glorot-jax COMMAND", "diagnose")),
        (("--version",), (f"glorot_jax {glorot_jax.__version__}",)),
        (("diagnose", "--help"), ("--model", "--seeds", "--spectra", "--workdir")),
    ],
)
def test_help_ends_well(arguments, words):
    done = _glorot_jax(*arguments)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in words)


def test_a_command_that_is_not_there():
    assert_fails_in_one_line(_glorot_jax("diagnos"), "'diagnos' is not a command", "diagnose")


def _glorot_jax(*arguments, cwd=ROOT):
    """The console script, from any folder."""
    code = "from glorot_jax.__main__ import main; main()"
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_steps_are_written_over_each_other_on_a_terminal():
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    with steps_shown(terminal):
        for step in ("tracing", "measuring"):
            logging.getLogger("glorot_jax.anything").info(step)
    logging.getLogger("glorot_jax.anything").info("afterwards")
    clear = "\r\x1b[K"
    assert terminal.getvalue() == f"{clear}tracing ..{clear}measuring ..{clear}"


def test_steps_are_not_written_to_a_file():
    file = io.StringIO()
    with steps_shown(file):
        logging.getLogger("glorot_jax.anything").info("tracing")
    assert file.getvalue() == ""
