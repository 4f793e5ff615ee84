"""TFDS's MNIST, prepared and read back without TensorFlow.

Stock TFDS 4.9 needs TensorFlow to *prepare* MNIST: to extract the gz files, to read them through
``tf.io.gfile`` and to encode arrays as PNG. The builder here overrides these steps alone. It reads
the gz files with numpy and yields PIL images; the name, version, features, keys (and so the order
of the records), download manager, checksums and writer stay TFDS's own, so the prepared folder is
``DATA_DIR/mnist/3.0.1`` and holds the examples any TFDS reads from it.

Importing this module imports ``tensorflow_datasets``; the rest of the package imports it only when
MNIST is asked for.
"""

import gzip
import hashlib
import io
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import download_manager, resource

from glorot_jax.data.errors import DataError, DataMissing

# Registered with TFDS: each file's size in bytes and sha256, by url.
_REGISTERED = tfds.image_classification.MNIST.url_infos

# The files of each split (images, labels), and the sha256 of the split's pixels followed by its
# labels, one byte each, in the order of these files.
_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_CONTENTS = {
    "train": "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
    "test": "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
}
_IMAGES_HEADER, _LABELS_HEADER = 16, 8  # bytes before the data of an idx3 and an idx1 file
_PIXELS = 28 * 28


class MNIST(  # the registered name stays with TFDS's own builder
    tfds.image_classification.MNIST,
    skip_registration=True,  # type: ignore[call-arg]
):
    """TFDS's MNIST builder less its use of TensorFlow."""

    name = "mnist"
    url_infos = _REGISTERED

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        names = [name for files in _FILES.values() for name in files]
        paths = dl_manager.download({name: self.URL + name for name in names})
        for name in names:
            _check_file(Path(paths[name]), self.url_infos[self.URL + name])
        return {
            split: self._generate_examples(paths[images], paths[labels])
            for split, (images, labels) in _FILES.items()
        }

    def _generate_examples(self, images: Path, labels: Path) -> Iterator[tuple[int, dict]]:
        pixels = _read_idx(images, _IMAGES_HEADER).reshape(-1, 28, 28)
        for index, (image, label) in enumerate(
            zip(pixels, _read_idx(labels, _LABELS_HEADER), strict=True)
        ):
            yield index, {"image": PIL.Image.fromarray(image), "label": int(label)}


def _read_idx(path: Path, header: int) -> np.ndarray:
    """The bytes of a gz idx file after its header."""
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def _check_file(path: Path, registered: Any) -> None:
    """Compares a gz file with the size and sha256 that TFDS has registered for it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    size, wanted = len(content), int(registered.size)
    if size != wanted:
        what = "truncated" if size < wanted else "not the official file"
        raise DataError(f"{path}: {what}, {size} bytes where the official file has {wanted}")
    sha256 = hashlib.sha256(content).hexdigest()
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


def _is_downloaded(downloads: Path, url: str, registered: Any) -> bool:
    """Whether TFDS's download manager already holds ``url``, under either of its two layouts."""
    name = resource.get_dl_fname(url, registered.checksum)
    return any(
        (folder / name).exists() and (folder / f"{name}.INFO").exists()
        for folder in (downloads / MNIST.name, downloads)
    )


def _check_sources(manual_dir: Path, downloads: Path, *, download: bool) -> None:
    """Makes sure that every gz file is good or can be fetched, before anything is written."""
    missing = []
    for url, registered in MNIST.url_infos.items():
        path = manual_dir / registered.filename
        if path.exists():
            _check_file(path, registered)
        elif not _is_downloaded(downloads, url, registered):
            missing.append(registered.filename)
    if not missing:
        return
    reason = unreachable(MNIST.URL + missing[0]) if download else "downloading is switched off"
    if reason is not None:
        host = urllib.parse.urlsplit(MNIST.URL).netloc
        raise DataMissing(
            f"mnist: {', '.join(sorted(missing))} not in {manual_dir}, and {host} cannot be asked "
            f"({reason})",
            _by_hand(manual_dir),
        )


def prepare(data_dir: Path, *, manual_dir: Path | None = None, download: bool = True) -> Path:
    """Prepares MNIST as array_record files unless that is done already.

    Args:
      data_dir: TFDS's data folder; the set goes to ``data_dir/mnist/3.0.1``. An existing set is
        never written to. A new one is made beside it and renamed when complete.
      manual_dir: folder searched first for the four gz files, ``data_dir/downloads/manual`` when
        None (TFDS's default).
      download: whether files that are not there may be fetched with TFDS's download manager.

    Returns:
      The folder of the prepared set.

    Raises:
      DataMissing: a gz file is not there and cannot be fetched.
      DataError: a gz file is not the official one, the folder of the set is not a prepared set, or
        ``data_dir`` cannot be written.
    """
    folder = data_dir / MNIST.name / str(MNIST.VERSION)
    if folder.exists():
        if not (folder / "dataset_info.json").is_file():
            raise DataError(
                f"{folder}: not a prepared set, it has no dataset_info.json; {_again(folder)}"
            )
        return folder
    downloads = data_dir / "downloads"
    manual_dir = manual_dir or downloads / "manual"
    _check_sources(manual_dir, downloads, download=download)
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    try:
        builder = MNIST(data_dir=data_dir, file_format="array_record")
        builder.download_and_prepare(download_dir=downloads, download_config=config)
    except DataError:
        raise
    except download_manager.NonMatchingChecksumError as error:
        raise DataError(f"mnist: {error}") from error
    except (tfds.download.DownloadError, requests.RequestException) as error:
        raise DataMissing(
            f"mnist: {MNIST.URL} could not be downloaded ({error})", _by_hand(manual_dir)
        ) from error
    except Exception as error:
        if (folder / "dataset_info.json").is_file():  # another process was first
            return folder
        raise DataError(f"mnist: could not be prepared in data_dir {data_dir} ({error})") from error
    return folder


def _by_hand(manual_dir: Path) -> str:
    return (
        f"put the four official gz files in {manual_dir}, or give a --data_dir that holds a "
        f"prepared {MNIST.name}/{MNIST.VERSION}"
    )


def _again(folder: Path) -> str:
    return f"remove {folder} and the set is prepared again"


def read_split(split: str, *, data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a whole split with ``tfds.data_source``, in the order of the official files.

    TFDS stores examples sorted by ``md5(split + index)``; this undoes it, so that "the first
    50 000" means what it meant to the paper. The result is compared with the sha256 of MNIST.

    Args:
      split: "train" or "test".
      data_dir: TFDS's data folder, holding a prepared set.

    Returns:
      Images [n, 784] uint8 (0 is background, 255 full ink) and labels [n] uint8.

    Raises:
      DataError: the record files are damaged or hold something else than MNIST.
    """
    folder = data_dir / MNIST.name / str(MNIST.VERSION)
    named = ", ".join(map(str, sorted(folder.glob(f"{MNIST.name}-{split}.*")))) or folder
    try:
        source = tfds.data_source(
            f"{MNIST.name}:{MNIST.VERSION}",
            split=split,
            data_dir=data_dir,
            download=False,
            # TFDS's own decoding takes twice as long and logs a warning without OpenCV.
            decoders={"image": tfds.decode.SkipDecoding()},
        )
        records = source.__getitems__(range(len(source)))
        stored = [
            np.asarray(PIL.Image.open(io.BytesIO(record["image"]))).reshape(_PIXELS)
            for record in records
        ]
        order = sorted(range(len(records)), key=lambda index: _storage_key(split, index))
        images = np.empty((len(records), _PIXELS), np.uint8)
        labels = np.empty(len(records), np.uint8)
        images[order] = np.stack(stored)
        labels[order] = [record["label"] for record in records]
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{named}: cannot be read ({first}); {_again(folder)}") from error
    if hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() != _CONTENTS[split]:
        raise DataError(f"{named}: holds other examples than MNIST's {split}; {_again(folder)}")
    return images, labels


def _storage_key(split: str, index: int) -> bytes:
    """What TFDS sorts examples by when it writes them (its ``core/hashing.py``)."""
    return hashlib.md5(f"{split}{index}".encode(), usedforsecurity=False).digest()
