"""What every TFDS set shares: sources checked, a set prepared once, a split read back in order.

Stock TFDS 4.9 needs TensorFlow to *prepare* most sets: to extract archives, to read files through
``tf.io.gfile`` and to encode arrays as PNG. The builders of this package override these steps
alone and yield PIL images; download manager, checksums, keys and writer stay TFDS's own.

Importing this module imports ``tensorflow_datasets``; the rest of the package imports it only when
a set of TFDS is asked for.
"""

import contextlib
import fcntl
import functools
import hashlib
import io
import os
import shutil
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import download_manager, resource

from experiments import checksums
from experiments.data.errors import DataError, DataMissing
from glorot_jax.files import first_line

_RECORDS_AT_ONCE = 5000  # of a split, in memory with their encoded images


def check_file(path: Path, registered: Any) -> None:
    """Compares a file with the size and sha256 that TFDS has registered for it.

    Raises:
      DataError: the file cannot be read or is not the registered one.
    """
    try:
        if not path.is_file():
            raise DataError(f"{path}: not the official file, it is no file at all")
        size, wanted = path.stat().st_size, int(registered.size)
        if size != wanted:
            what = "truncated" if size < wanted else "not the official file"
            raise DataError(f"{path}: {what}, {size} bytes where the official file has {wanted}")
        sha256 = checksums.sha256(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if sha256 != registered.checksum:
        raise DataError(f"{path}: sha256 {sha256} is not the official file's {registered.checksum}")


def unreachable(url: str, *, timeout: float = 4.0) -> str | None:
    """Why ``url`` does not answer a HEAD request within ``timeout`` seconds; None if it does.

    Proxies named by the environment are used. The request runs in its own thread because the
    look-up of a host name knows no timeout.
    """
    answer: list[str | None] = [f"no answer within {timeout:g} s"]

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=timeout).close()
            answer[0] = None
        except Exception as error:
            answer[0] = str(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return answer[0]


def check_registered(
    builder: Any, *, manual_dir: Path, downloads: Path, download: bool, remedy: str
) -> None:
    """Makes sure that every file a builder has registered is good or can be fetched.

    Args:
      builder: a builder class; its ``url_infos`` are the files.
      manual_dir, downloads: where TFDS's download manager looks for them.
      download: whether files that are not there may be fetched.
      remedy: what ``DataMissing`` advises.

    Raises:
      DataMissing: a file is not there and cannot be fetched.
      DataError: a file is not the registered one.
    """
    missing = {}
    for url, registered in builder.url_infos.items():
        path = manual_dir / registered.filename
        if path.exists():
            check_file(path, registered)
        elif not _is_downloaded(downloads, builder.name, url, registered):
            missing[registered.filename] = url
    if not missing:
        return
    url = next(iter(missing.values()))
    reason = unreachable(url) if download else "downloading is switched off"
    if reason is not None:
        raise DataMissing(
            f"{builder.name}: {', '.join(sorted(missing))} not in {manual_dir}, and "
            f"{urllib.parse.urlsplit(url).netloc} cannot be asked ({reason})",
            remedy,
        )


def _is_downloaded(downloads: Path, name: str, url: str, registered: Any) -> bool:
    """Whether TFDS's download manager already holds ``url``."""
    file = resource.get_dl_fname(url, registered.checksum)
    return any(
        (folder / file).exists() and (folder / f"{file}.INFO").exists()
        for folder in _layouts(downloads, name)
    )


def _half_downloads(builder: Any, downloads: Path) -> list[Path]:
    """The folders into which TFDS was downloading a set's files when it was killed."""
    files = [
        resource.get_dl_fname(url, registered.checksum)
        for url, registered in (builder.url_infos or {}).items()
    ]
    folders = _layouts(downloads, builder.name)
    return [half for folder in folders for file in files for half in folder.glob(f"{file}.tmp.*")]


def _layouts(downloads: Path, name: str) -> tuple[Path, Path]:
    """Where TFDS keeps what it has downloaded, in one version or another."""
    return downloads / name, downloads


def folder_of(builder: Any, data_dir: Path, config: Any = None) -> Path:
    """Where TFDS keeps a set: ``data_dir/name[/config]/version``."""
    parts = (builder.name, *([config.name] if config else []), str(builder.VERSION))
    return data_dir.joinpath(*parts)


def manual_dir_of(builder: Any, data_dir: Path, manual_dir: Path | None) -> Path:
    """The folder searched for a set's sources: one of the set's own name inside, if there is one.

    (The files of MNIST and of Fashion-MNIST have the same names.) ``data_dir/downloads/manual``
    when None, which is TFDS's default.
    """
    folder = manual_dir or data_dir / "downloads" / "manual"
    own = folder / builder.name
    return own if own.is_dir() else folder


def prepare(
    builder: Any,
    data_dir: Path,
    *,
    manual_dir: Path,
    check: Callable[[], None],
    remedy: str,
    config: Any = None,
) -> Path:
    """Prepares a set as array_record files unless that is done already.

    An existing set is never written to. A new one is made beside it and renamed when complete;
    what a killed process left of an incomplete one is removed.

    Args:
      builder: the builder class.
      data_dir: TFDS's data folder.
      manual_dir: folder searched first for the sources.
      check: raises if the sources are not good; called before anything is written.
      remedy: what to do about sources that are missing, in one clause.
      config: the builder's config, if it has configs.

    Returns:
      The folder of the prepared set.

    Raises:
      DataMissing: a source is not there and cannot be fetched.
      DataError: a source is damaged, the folder of the set is not a prepared set, or ``data_dir``
        cannot be written.
    """
    folder = folder_of(builder, data_dir, config)
    if folder.exists():
        if not _is_prepared(folder):
            raise DataError(
                f"{folder}: not a prepared set, it has no dataset_info.json; {again(folder)}"
            )
        return folder
    check()
    download_config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    options = {"config": config} if config else {}
    try:
        with _alone(data_dir / builder.name) as alone:
            if alone:
                for stale in (
                    *folder.parent.glob(f"incomplete.*_{folder.name}"),
                    *_half_downloads(builder, data_dir / "downloads"),
                ):
                    shutil.rmtree(stale)
            builder(data_dir=data_dir, file_format="array_record", **options).download_and_prepare(
                download_dir=data_dir / "downloads", download_config=download_config
            )
    except DataError:
        raise
    except download_manager.NonMatchingChecksumError as error:
        raise DataError(f"{builder.name}: {error}") from error
    except (tfds.download.DownloadError, requests.RequestException) as error:
        raise DataMissing(
            f"{builder.name}: its files could not be downloaded ({error})", remedy
        ) from error
    except Exception as error:
        if _is_prepared(folder):  # another process was first
            return folder
        raise DataError(
            f"{builder.name}: could not be prepared in data_dir {data_dir} ({error})"
        ) from error
    return folder


def prepare_registered(
    builder: Any, data_dir: Path, *, manual_dir: Path | None, download: bool, sources: str
) -> Path:
    """``prepare`` for a builder that needs nothing but its registered files, called ``sources``."""
    manual_dir = manual_dir_of(builder, data_dir, manual_dir)
    remedy = (
        f"put {sources} in {manual_dir}, or give a --data_dir that holds a prepared "
        f"{builder.name}/{builder.VERSION}"
    )
    check = functools.partial(
        check_registered,
        builder,
        manual_dir=manual_dir,
        downloads=data_dir / "downloads",
        download=download,
        remedy=remedy,
    )
    return prepare(builder, data_dir, manual_dir=manual_dir, check=check, remedy=remedy)


def _is_prepared(folder: Path) -> bool:
    return (folder / "dataset_info.json").is_file()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Holds a lock on ``folder``, which the system drops if the process dies.

    Yields whether the lock could be had: some network file systems know none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            locked = True
        except OSError:
            locked = False
        yield locked
    finally:
        os.close(handle)


def again(folder: Path) -> str:
    """What to do about a prepared set that is damaged."""
    return f"remove {folder} and the set is prepared again"


def digest(images: np.ndarray, labels: np.ndarray) -> str:
    """The sha256 of a split: all pixels, then all labels, one byte each."""
    sha256 = hashlib.sha256(np.ascontiguousarray(images).data)
    sha256.update(np.ascontiguousarray(labels).data)
    return sha256.hexdigest()


def read_split(
    folder: Path, split: str, *, contents: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Reads a whole split of a prepared set whose keys are 0, 1, 2, ..., in the order of the keys.

    TFDS stores examples sorted by ``md5(split + key)``; this undoes it, so that "the first
    50 000" means what it meant to the set's makers.

    Args:
      folder: a prepared set.
      split: a split's name, such as "train".
      contents: the split's ``digest``; None takes the one in the set's own metadata, if any.

    Returns:
      Images [n, height * width * channels] uint8 and labels [n] uint8.

    Raises:
      DataError: the record files are damaged or hold other examples.
    """
    name = folder.parent.name
    named = ", ".join(map(str, sorted(folder.glob(f"*-{split}.*")))) or folder
    try:
        builder = tfds.builder_from_directory(folder)
        name = builder.name
        # TFDS's own decoding takes twice as long and logs a warning without OpenCV.
        source: Any = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
        n = len(source)
        order = np.array(sorted(range(n), key=lambda key: _storage_key(split, key)))
        images = np.empty((n, *builder.info.features["image"].shape), np.uint8)
        labels = np.empty(n, np.uint8)
        for start in range(0, n, _RECORDS_AT_ONCE):
            rows = order[start : start + _RECORDS_AT_ONCE]
            records = source.__getitems__(range(start, start + len(rows)))
            for row, record in zip(rows, records, strict=True):
                image = np.asarray(PIL.Image.open(io.BytesIO(record["image"])))
                images[row] = image.reshape(images.shape[1:])
                labels[row] = record["label"]
        contents = contents or (builder.info.metadata or {}).get(split)
    except Exception as error:
        raise DataError(
            f"{named}: cannot be read ({first_line(error)}); {again(folder)}"
        ) from error
    if contents is not None and digest(images, labels) != contents:
        raise DataError(f"{named}: holds other examples than {name}'s {split}; {again(folder)}")
    return images.reshape(n, -1), labels


def _storage_key(split: str, key: int) -> bytes:
    """What TFDS sorts examples by when it writes them (its ``core/hashing.py``)."""
    return hashlib.md5(f"{split}{key}".encode(), usedforsecurity=False).digest()
