"""A file is whole or as it was before."""

import errno
import os
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glorot_jax.files import (
    DamagedFile,
    check_seal,
    read_sealed,
    seal,
    sweep,
    write_atomically,
    write_text,
)

OLD, NEW = "old", "new ñ"


@pytest.fixture(params=["new", "existing"])
def path(request, tmp_path):
    """A place to write to, empty or taken."""
    path = tmp_path / "result.json"
    if request.param == "existing":
        path.write_text(OLD)
    return path


def _unchanged(path, before):
    """Whether the folder holds what it held before, and nothing else."""
    return {p: p.read_bytes() for p in path.parent.iterdir()} == before


def _contents(path):
    return {p: p.read_bytes() for p in path.parent.iterdir()}


def test_writes_utf8_and_leaves_one_readable_file(path):
    assert write_text(path, NEW) == path
    assert path.read_text(encoding="utf-8") == NEW
    assert list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_path_may_be_a_string(tmp_path):
    assert write_text(str(tmp_path / "a.txt"), NEW) == tmp_path / "a.txt"


def test_the_writer_gets_a_path_of_the_same_kind_in_the_same_folder(path):
    seen = []

    def write(temporary):
        seen.append(temporary)
        assert path.exists() == (path in before)
        temporary.write_text(NEW)

    before = _contents(path)
    write_atomically(path, write)
    (temporary,) = seen
    assert temporary != path
    assert temporary.parent == path.parent
    assert temporary.suffix == path.suffix


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()], ids=repr)
def test_a_failing_writer_changes_nothing(path, error):
    def write(temporary):
        temporary.write_text("half of it")
        raise error

    before = _contents(path)
    with pytest.raises(type(error)):
        write_atomically(path, write)
    assert _unchanged(path, before)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_changes_nothing(path, step, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = _contents(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full) if step == "fsync" else patch.setattr(
            "pathlib.Path.replace", full
        )
        with pytest.raises(OSError, match="No space left") as caught:
            write_text(path, NEW)
    assert caught.value.errno == errno.ENOSPC
    assert _unchanged(path, before)


def test_what_was_written_is_synced_before_it_is_moved(path, monkeypatch):
    synced = []

    def fsync(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        assert os.pread(descriptor, 100, 0).decode() == NEW

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(path, NEW)
    assert synced == [path.stat().st_ino]


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "nowhere" / "a.txt", NEW)
    assert list(tmp_path.iterdir()) == []


@given(data=st.binary(max_size=300), flipped=st.integers(0, 10_000))
def test_one_flipped_bit_breaks_a_seal(data, flipped, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "sealed"
    path.write_bytes(data)
    seal(path)
    check_seal(path)
    sealed = path.read_bytes()
    assert sealed.startswith(data)
    place, bit = divmod(flipped % (8 * len(sealed)), 8)
    path.write_bytes(sealed[:place] + bytes([sealed[place] ^ 1 << bit]) + sealed[place + 1 :])
    with pytest.raises(DamagedFile, match="its checksum is"):
        check_seal(path)


@given(length=st.integers(0, 400))
def test_a_cut_file_has_no_seal(length, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "cut"
    path.write_bytes(bytes(range(256)))
    seal(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(length, len(whole) - 1)])
    with pytest.raises(DamagedFile, match="its checksum is missing"):
        check_seal(path)


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path):
    (tmp_path / "inner").mkdir()
    kept = [write_text(tmp_path / "inner/.hidden-file", OLD), write_text(tmp_path / "a.nc", OLD)]

    def killed(temporary):
        os.link(temporary, temporary.with_name(f"{temporary.name}2"))  # as if it stayed

    for folder in (tmp_path, tmp_path / "inner"):
        kept.append(write_atomically(folder / "b.nc", killed))
    sweep(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


WRITE = """
import sys, time
from pathlib import Path
from glorot_jax.files import write_atomically

def write(temporary):
    temporary.write_text("half of it")
    print("writing", flush=True)
    sys.stdin.readline()

write_atomically(Path(sys.argv[1]), write)
"""


def test_the_next_writer_removes_what_a_killed_one_left_and_not_what_others_write(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, tmp_path / name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in ("alive.json", "killed.json")
    ]
    alive, killed = writers
    for writer in writers:
        assert writer.stdout.readline() == b"writing\n"
    killed.kill()
    killed.communicate()
    assert len(list(tmp_path.iterdir())) == 2
    write_text(tmp_path / "next.json", NEW)
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    alive.communicate(b"go on\n")
    assert alive.returncode == 0
    assert {each.name for each in tmp_path.iterdir()} == {"alive.json", "next.json"}


def test_a_sweep_removes_what_this_process_is_writing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def interrupted(temporary):
        sweep(tmp_path)
        assert not temporary.exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically("a.json", interrupted)
    assert list(tmp_path.iterdir()) == []


def test_sealed_text_comes_back_or_is_refused(tmp_path):
    path = write_text(tmp_path / "seconds", NEW, sealed=True)
    assert read_sealed(path) == NEW
    path.write_bytes(path.read_bytes().replace(b"new", b"now"))
    with pytest.raises(DamagedFile, match="its checksum is wrong"):
        read_sealed(path)
