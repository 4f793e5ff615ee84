"""Files that are either whole or not there."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def write_atomically(path: Path | str, write: Callable[[Path], object], /) -> Path:
    """Calls ``write(temporary path)`` and moves what it wrote to ``path`` in one step.

    A reader, or a run started after a power cut, sees the old file or the new one, never a part.
    The temporary file keeps the suffix of ``path`` and is removed if anything fails.

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
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_text(path: Path | str, text: str, /) -> Path:
    """``text`` as UTF-8 to ``path``, atomically."""
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_netcdf(dataset: "xr.Dataset", path: Path | str, /) -> Path:
    """Writes ``dataset`` as netCDF 4, compressed and atomically.

    Raises:
      OSError: the folder can't be written or the disk is full; an older file is then untouched.
    """
    encoding = {
        name: {"zlib": True, "complevel": 4}
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "fiu" and variable.ndim
    }
    # In memory first: HDF5 crashes the process when its own writing meets a full disk.
    data = bytes(dataset.to_netcdf(engine="h5netcdf", encoding=encoding))
    return write_atomically(path, lambda temporary: temporary.write_bytes(data))


def first_line(error: BaseException) -> str:
    """What an error of any library says, in one line; its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
