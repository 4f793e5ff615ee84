"""The folder of a run: one run at a time, of one config, and nothing in it of another."""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from ml_collections import ConfigDict

from experiments.errors import ConfigError
from experiments.results import schema
from experiments.results.schema import ResultsError
from experiments.workdir import PROGRAMS, Workdir, opened
from glorot_jax.files import write_text

CONFIG = ConfigDict({"seed": 0, "checkpoint_seconds": 0.0, "online": {"width": 3}})
OTHER = ConfigDict({"seed": 1, "checkpoint_seconds": 0.0, "online": {"width": 3}})
HOLD_THE_LOCK = """
import fcntl, os, sys
lock = open(sys.argv[1], "r+")
fcntl.flock(lock, fcntl.LOCK_EX)
lock.write(str(os.getpid()))
lock.flush()
print("locked", flush=True)
sys.stdin.read()
"""


def measure() -> tuple[str, xr.Dataset]:
    values = schema.labelled("test_error", ("seed",), np.arange(200) / 200)
    return "shapeset", xr.Dataset({"test_error": values})


def never() -> tuple[str, xr.Dataset]:
    raise AssertionError("measured again")


def staged(folder: Workdir, measure: Callable[[], tuple[str, xr.Dataset]]) -> xr.DataTree:
    folder.stage("online", measure)
    return schema.build(folder.groups, {})


@pytest.fixture
def path(tmp_path) -> Path:
    """A folder with one finished stage, and results."""
    with opened(tmp_path, CONFIG) as folder:
        folder.write(staged(folder, measure), tmp_path / "results.nc")
        assert folder.measured
        page = write_text(tmp_path / "index.html", "page")
        folder.finish([page])
    return tmp_path


def refusal(path: Path, config: ConfigDict = CONFIG, *, kind: type = ConfigError) -> str:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(kind) as error, opened(path, config) as folder:
        folder.stage("online", never)
    assert "\n" not in str(error.value)
    lock = path / "checkpoints/lock"
    for file, content in before.items():
        assert file == lock or file.read_bytes() == content, f"{file} was changed"
    assert {file for file in path.rglob("*") if file.is_file()} <= {*before, lock}
    return str(error.value)


def test_a_finished_stage_is_read_again(path):
    with opened(path, CONFIG) as folder:
        xr.testing.assert_equal(staged(folder, never), schema.load(path / "results.nc"))
        assert folder.finished()
        assert not folder.measured


@pytest.mark.parametrize("change", ["results", "page", "no page", "note"])
def test_what_has_changed_is_not_finished(path, change):
    with opened(path, CONFIG) as folder:
        if change == "results":
            results = staged(folder, never)
            results.attrs["new"] = 1
            folder.write(results, path / "results.nc")
        elif change == "page":
            write_text(path / "index.html", "pagf")
        elif change == "no page":
            (path / "index.html").unlink()
        else:
            (path / "checkpoints/finished").write_bytes(b"\xff\n" * 20)
        assert not folder.finished()


def test_programs_that_have_changed_are_compiled_again(path):
    programs = [path / PROGRAMS / name for name in ("same", "changed", "inner/changed", "gone")]
    (path / PROGRAMS / "inner").mkdir(parents=True)
    with opened(path, CONFIG):
        for program in programs:
            program.write_text("compiled")
    programs[1].write_text("compilfd")
    programs[2].write_bytes(b"")
    programs[3].unlink()
    with opened(path, CONFIG):
        assert [program.exists() for program in programs] == [True, False, False, False]


@pytest.mark.parametrize("removed", [[], ["config.json"], ["config.json", "results.nc"]])
def test_another_config_is_refused_whatever_is_left(path, removed):
    for name in removed:
        (path / name).unlink()
    assert "another config" in refusal(path, OTHER)


def test_of_two_configs_that_differ_throughout_three_fields_are_named(path):
    (path / "config.json").write_text('{"a": 1}')
    message = refusal(path)
    assert "config.a was 1 there and is absent now" in message
    assert message.count(" was absent there and is ") == 2
    assert "more fields; name another folder" in message
    assert len(message) < 500


@pytest.mark.parametrize("file", ["results.nc", "checkpoints/online.nc"])
def test_a_file_of_another_run_is_refused(path, file, tmp_path_factory):
    foreign = tmp_path_factory.mktemp("foreign")
    with opened(foreign, OTHER) as folder:
        folder.write(staged(folder, measure), foreign / "results.nc")
    (path / file).write_bytes((foreign / file).read_bytes())
    message = refusal(path)
    assert str(path / file) in message
    assert "belongs to a run of another config" in message


@pytest.mark.parametrize("file", ["results.nc", "checkpoints/online.nc"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_is_refused(path, file, place):
    whole = bytearray((path / file).read_bytes())
    whole[int(place * len(whole))] ^= 4
    (path / file).write_bytes(whole)
    assert "its checksum is wrong" in refusal(path, kind=ResultsError)


@pytest.mark.parametrize("content", ["null", "[1]", "{", "\xff"])
def test_a_damaged_config_is_refused(path, content):
    (path / "config.json").write_text(content, encoding="latin-1")
    assert "config.json is damaged" in refusal(path)


def test_a_second_launch_is_refused_and_a_dead_one_s_lock_is_not(path):
    with opened(path, CONFIG), pytest.raises(ConfigError, match="is in use by another run"):
        opened(path, CONFIG).__enter__()
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, path / "checkpoints/lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdout.readline() == b"locked\n"
    assert f"is in use by another run (process {other.pid})" in refusal(path)
    other.kill()
    other.communicate()
    with opened(path, CONFIG) as folder:
        folder.stage("online", never)


def test_two_stages_of_one_part_are_refused(path):
    with opened(path, CONFIG) as folder:
        folder.stage("online", never)
        with pytest.raises(ConfigError, match=r"mnist and online both measure shapeset"):
            folder.claim("shapeset", stage="mnist")
        folder.claim("mnist", stage="mnist")


def test_identities_and_folders_name_stage_and_config(path):
    first, second = Workdir(path, CONFIG), Workdir(path, OTHER)
    online = first.place("online").inside("tanh-5-pretraining").inside("layer-1", seeds=[0, 1])
    assert online.folder == path / "checkpoints/online/tanh-5-pretraining/layer-1"
    assert online.identity == {
        "config": first.config_hash,
        "stage": "online",
        "program": "tanh-5-pretraining/layer-1",
        "seeds": [0, 1],
    }
    assert second.place("online").identity != first.place("online").identity


def test_a_killed_start_is_tidied_up_after(path):
    programs = path / PROGRAMS
    programs.mkdir()
    for name in ("whole", "perhaps_half"):
        (programs / name).touch()
    left = [path / ".partial-index-1.html", path / "checkpoints/.partial-online-2.nc"]
    for temporary in left:
        temporary.touch()
    with opened(path, CONFIG):
        assert not any(temporary.exists() for temporary in left)
    with pytest.raises(SystemExit), opened(path, CONFIG):
        raise SystemExit(130)  # as when it was asked to stop
    with opened(path, CONFIG):
        pass
    assert len(list(programs.iterdir())) == 2
    with contextlib.suppress(KeyboardInterrupt), opened(path, CONFIG):
        raise KeyboardInterrupt
    with opened(path, CONFIG):
        pass
    assert [program.name for program in programs.iterdir()] == ["whole"]


def test_seconds_are_summed_over_starts(path, monkeypatch):
    write_text(path / "checkpoints/seconds", "100.0", sealed=True)
    with opened(path, CONFIG) as folder:
        folder._started -= 20
        assert 120 <= folder.seconds() < 130
    with opened(path, CONFIG) as folder:
        assert 120 <= folder.seconds() < 140
