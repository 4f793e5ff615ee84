"""Every file of a run's folder, damaged in every way: one line that names it, or no harm at all."""

import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict

from experiments import launch, running
from experiments.checkpoint import CheckpointError, Checkpoints, read
from experiments.configs import base
from experiments.results import schema
from experiments.workdir import Workdir
from glorot_jax.files import write_text

CONFIG, RESULTS, STAGE = "config.json", "results.nc", "checkpoints/online.nc"
CHECKPOINT, CLOCK = "checkpoints/online/tanh-1/20.npz", "checkpoints/seconds"
READ = (CONFIG, RESULTS, STAGE, CHECKPOINT, CLOCK)
REPORT = ("index.html", "claims.json", "summary.md", "figures/fig11.svg")
NOTES = ("checkpoints/finished", "checkpoints/programs.sha256")
MADE = (*REPORT, *NOTES)
PROGRAM = "checkpoints/programs/jit_advance-cache"
# What is removed with a damaged file, so that it is read at all.
LATER = {STAGE: (RESULTS,), CHECKPOINT: (RESULTS, STAGE)}


def config() -> ConfigDict:
    config = base.figure("fig11", "smoke")
    config.stages = ("online",)
    return config


def short_stage(config: ConfigDict, key: jax.Array, folder: Workdir) -> tuple[str, xr.Dataset]:
    """Stands in for training: its checkpoint is a whole one, and its results follow from it."""
    saved = Checkpoints(folder.place("online").inside("tanh-1"))
    restored = saved.restore(lambda: {"weights": np.zeros(500, np.float32), "key": key})
    if restored is None:
        weights = np.asarray(jax.random.normal(key, (500,)))
        saved.save(20, {"weights": weights, "key": key})
    else:
        weights = restored[1]["weights"]
    return "shapeset", xr.Dataset({"test_error": schema.labelled("test_error", ("w",), weights)})


def short_report(results: xr.DataTree, folder: Path) -> Path:
    """Stands in for the drawing of figures."""
    (folder / "figures").mkdir(exist_ok=True)
    for name in REPORT:
        write_text(folder / name, str(float(results["shapeset"]["test_error"].mean())))
    return folder / REPORT[0]


@pytest.fixture(scope="module", autouse=True)
def _short():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "STAGES", {"online": short_stage})
        patch.setattr(running, "write_report", short_report)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("whole")
    launch.run(config(), str(folder))
    programs = folder / "checkpoints/programs"
    programs.mkdir()
    (programs / "jit_advance-cache").write_bytes(b"compiled")
    launch.run(config(), str(folder))
    return folder


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def contents(folder: Path) -> dict[Path, bytes]:
    """What every file holds; the lock's is the number of a process."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(folder): path.read_bytes() for path in files}


def values(folder: Path) -> np.ndarray:
    return schema.load(folder / RESULTS)["shapeset"]["test_error"].values


def _flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3] ^= 4
    path.write_bytes(whole)


def _by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _by_a_link_to(target: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        path.symlink_to(target.format(path.name))

    return damage


def _moved(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name(f"moved_{path.name}")))


CONTENTS = {
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "without its end": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "flipped bit": _flip,
    "emptied": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe" * 50),
    "a JSON list": lambda path: path.write_text("[1, 2]"),
    "a folder": _by_a_folder,
}
HARMLESS = {
    "read-only": lambda path: path.chmod(0o444),
    "moved and linked": _moved,
}
# A file behind these is as good as gone.
GONE = {
    "a link to nothing": _by_a_link_to("no/such/file"),
    "a link to itself": _by_a_link_to("{}"),
    "gone": lambda path: path.unlink(),
}


def run_with(folder: Path, name: str, damage: Callable[[Path], object]) -> str | None:
    """What the run says that refuses the file; None where it ends with the same values."""
    wanted = values(folder)
    for later in LATER.get(name, ()):
        (folder / later).unlink()
    damage(folder / name)
    before = contents(folder)
    said = ""
    try:
        launch.run(config(), str(folder))
    except (ValueError, OSError) as refusal:
        said = str(refusal)
    if said:
        assert "\n" not in said
        assert contents(folder) == before
        return said
    np.testing.assert_array_equal(values(folder), wanted)
    return None


@pytest.mark.parametrize("damage", CONTENTS)
@pytest.mark.parametrize("name", READ)
def test_a_damaged_file_is_refused_by_its_name(copy, name, damage):
    said = run_with(copy, name, CONTENTS[damage])
    assert said is not None, "it was taken"
    assert str(copy / name) in said or (damage == "flipped bit" and f"{copy} holds" in said)
    assert "remove it" in said or "name another folder" in said


@pytest.mark.parametrize("damage", HARMLESS)
@pytest.mark.parametrize("name", [*READ, *MADE])
def test_a_file_that_is_only_elsewhere_or_read_only_is_taken(copy, name, damage):
    assert run_with(copy, name, HARMLESS[damage]) is None


@pytest.mark.parametrize("damage", GONE)
@pytest.mark.parametrize("name", [*READ, *MADE])
def test_what_is_gone_is_made_again_or_missed(copy, name, damage):
    said = run_with(copy, name, GONE[damage])
    assert said is None or (damage != "gone" and str(copy / name) in said)


@pytest.mark.parametrize("damage", CONTENTS)
@pytest.mark.parametrize("name", MADE)
def test_what_is_made_of_results_is_made_again(copy, name, damage):
    before = contents(copy)
    said = run_with(copy, name, CONTENTS[damage])
    if damage == "a folder":
        assert said is not None
        assert str(copy / name) in said
    else:
        assert said is None
        if name in REPORT:
            assert contents(copy)[Path(name)] == before[Path(name)]


@pytest.mark.parametrize("name", ["figures", "checkpoints/online", "checkpoints/programs"])
def test_a_file_in_place_of_a_folder_is_refused(copy, name):
    shutil.rmtree(copy / name)
    (copy / name).touch()
    said = run_with(copy, NOTES[0], lambda path: None)
    assert said == f"workdir: {copy / name} is not a folder; remove it or name another folder"


@pytest.mark.parametrize("damage", ["flipped bit", "emptied", "longer"])
def test_no_program_is_run_that_has_changed(copy, damage):
    assert run_with(copy, PROGRAM, lambda path: None) is None
    assert (copy / PROGRAM).exists()
    assert run_with(copy, PROGRAM, CONTENTS[damage]) is None
    assert not (copy / PROGRAM).exists()


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=100)
def test_whichever_bit_of_a_checkpoint_is_flipped_it_is_refused(whole, place, bit):
    content = bytearray((whole / CHECKPOINT).read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    flipped = whole.parent / "flipped.npz"
    flipped.write_bytes(content)
    with pytest.raises(CheckpointError, match="its checksum is") as refusal:
        read(flipped, identity={})
    assert "\n" not in str(refusal.value)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=100)
def test_whichever_bit_of_results_is_flipped_they_are_refused(whole, place, bit):
    content = bytearray((whole / RESULTS).read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    flipped = whole.parent / "flipped.nc"
    flipped.write_bytes(content)
    with pytest.raises(schema.ResultsError, match="its checksum is"):
        schema.load(flipped)
