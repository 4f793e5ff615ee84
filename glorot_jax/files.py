"""Files that are either whole or not there."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

_TEMPORARY = ".partial-"  # how the name of a file that is being written begins
_SEAL = b"\nsha256 "
_SEAL_SIZE = len(_SEAL) + hashlib.sha256().digest_size * 2 + 1
_writing: set[str] = set()  # absolute paths, by this process


class DamagedFile(ValueError):
    """A file that isn't as it was written, with the reason in one line."""


def write_atomically(path: Path | str, write: Callable[[Path], object], /) -> Path:
    """Calls ``write(temporary path)`` and moves what it wrote to ``path`` in one step.

    A reader, or a run started after a power cut, sees the old file or the new one, never a part.
    The temporary file keeps the suffix of ``path`` and is removed if anything fails; what writers
    that were killed left in the folder is removed first.

    Raises:
      OSError: the folder can't be written or the disk is full; ``path`` is then as it was.
    """
    path = Path(path)
    with naming(path):
        return _write(path, write)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Makes errors of writing name ``path``: they mostly name nothing, or a temporary file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{path} can't be written: {error.strerror or error}") from error


def _write(path: Path, write: Callable[[Path], object]) -> Path:
    for left in path.parent.glob(f"{_TEMPORARY}*"):
        _remove_if_dead(left)
    prefix = f"{_TEMPORARY}{path.stem}-"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=path.suffix)
    temporary = Path(name)
    _writing.add(os.path.abspath(name))
    try:
        _lock(handle)
        write(temporary)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        _writing.discard(os.path.abspath(name))
        os.close(handle)
    return path


def sweep(folder: Path) -> None:
    """Removes what this process is writing in ``folder`` and the folders in it, and what others
    that were killed left unfinished. What others are writing stays.
    """
    for temporary in folder.rglob(f"{_TEMPORARY}*"):
        if os.path.abspath(temporary) in _writing:
            temporary.unlink(missing_ok=True)
        else:
            _remove_if_dead(temporary)


def _remove_if_dead(temporary: Path) -> None:
    """Removes a file that nobody has locked: the system unlocks it when its writer dies."""
    with suppress(OSError):  # another's, or gone
        handle = os.open(temporary, os.O_RDWR)
        try:
            if _lock(handle):
                temporary.unlink()
        finally:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Whether it could be locked; some network drives know no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def seal(path: Path) -> None:
    """Appends the checksum of all that is in ``path``, for ``check_seal``.

    HDF5 and zip files are read as before: what follows their end isn't looked at.
    """
    with path.open("rb+") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0, os.SEEK_END)
        file.write(_SEAL + digest.encode() + b"\n")


def check_seal(path: Path) -> None:
    """Reads a sealed file through, to find out whether each bit is as it was written.

    Raises:
      DamagedFile: one isn't, or ``path`` was never sealed.
      OSError: ``path`` can't be read.
    """
    size = path.stat().st_size - _SEAL_SIZE
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = size
        while left > 0 and (chunk := file.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
        found = file.read()
    if size < 0 or not found.startswith(_SEAL):
        raise DamagedFile("its checksum is missing: it is cut short, or of another program")
    if found != _SEAL + digest.hexdigest().encode() + b"\n":
        raise DamagedFile("its checksum is wrong: a part of it has changed since it was written")


def write_text(path: Path | str, text: str, /, *, sealed: bool = False) -> Path:
    """``text`` as UTF-8 to ``path``, atomically, and sealed for ``read_sealed`` where asked for."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")
        if sealed:
            seal(temporary)

    return write_atomically(path, write)


def read_sealed(path: Path) -> str:
    """The text that ``write_text`` sealed.

    Raises:
      DamagedFile: it has changed since. OSError: ``path`` can't be read.
    """
    check_seal(path)
    return path.read_bytes()[:-_SEAL_SIZE].decode()


def write_netcdf(data: "xr.Dataset | xr.DataTree", path: Path | str, /) -> Path:
    """Writes ``data`` as netCDF 4, a group for each node, compressed, sealed and atomically.

    Raises:
      OSError: the folder can't be written or the disk is full; an older file is then untouched.
    """
    # In memory first: HDF5 crashes the process when its own writing meets a full disk.
    content = bytes(data.to_netcdf(engine="h5netcdf", encoding=_encoding(data)))

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)
        seal(temporary)

    return write_atomically(path, write)


def save_as(
    path: Path | str, data: "xr.Dataset | xr.DataTree", page: Callable[[Path], Path], /
) -> Path:
    """``data`` as netCDF where ``path`` ends in .nc, what ``page(path)`` writes where in .html.

    Raises:
      ValueError: ``path`` ends in neither. OSError: it can't be written.
    """
    path = Path(path)
    if path.suffix == ".nc":
        return write_netcdf(data, path)
    if path.suffix in (".html", ".htm"):
        return page(path)
    raise ValueError(f"path: {path} ends in neither .html nor .nc")


def _encoding(data: "xr.Dataset | xr.DataTree") -> dict:
    """Compression of every array of numbers, by node where there are any."""
    if hasattr(data, "subtree"):
        return {node.path: _encoding(node.to_dataset(inherit=False)) for node in data.subtree}
    return {
        name: {"zlib": True, "complevel": 4}
        for name, variable in data.variables.items()
        if variable.dtype.kind in "fiu" and variable.ndim
    }


def first_line(error: BaseException) -> str:
    """What an error of any library says, in one line; its kind where it says nothing.

    Errors of the system without the path, which whoever shows the line names anyway.
    """
    text = getattr(error, "strerror", None) or str(error)
    return (text.strip() or type(error).__name__).splitlines()[0]
