"""TFDS's MNIST and Fashion-MNIST, prepared without TensorFlow from the four official gz files.

The builders read the gz files with numpy; name, version, features and keys stay TFDS's, so the
prepared folders, ``DATA_DIR/mnist/3.0.1`` and ``DATA_DIR/fashion_mnist/3.0.1``, hold the examples
any TFDS reads from them. See ``preparing``.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from experiments.data import preparing
from experiments.data.errors import DataError

# The files of each split (images, labels).
_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
# The ``preparing.digest`` of MNIST's splits in the order of its files.
_CONTENTS = {
    "train": "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
    "test": "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
}
_IMAGES_HEADER, _LABELS_HEADER = 16, 8  # bytes before the data of an idx3 and an idx1 file


class _FromIdx:
    """The steps of TFDS's MNIST builders that need TensorFlow, without it."""

    URL: str
    url_infos: Any

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        names = [name for files in _FILES.values() for name in files]
        paths = dl_manager.download({name: self.URL + name for name in names})
        for name in names:
            preparing.check_file(Path(paths[name]), self.url_infos[self.URL + name])
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


class MNIST(  # the registered name stays with TFDS's own builder
    _FromIdx,
    tfds.image_classification.MNIST,
    skip_registration=True,  # type: ignore[call-arg]
):
    """TFDS's MNIST builder less its use of TensorFlow."""

    name = "mnist"
    url_infos = tfds.image_classification.MNIST.url_infos


class FashionMNIST(
    _FromIdx,
    tfds.image_classification.FashionMNIST,
    skip_registration=True,  # type: ignore[call-arg]
):
    """TFDS's Fashion-MNIST builder less its use of TensorFlow."""

    name = "fashion_mnist"
    url_infos = tfds.image_classification.FashionMNIST.url_infos


def _read_idx(path: Path, header: int) -> np.ndarray:
    """The bytes of a gz idx file after its header."""
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def prepare(
    data_dir: Path,
    *,
    builder: Any = MNIST,
    manual_dir: Path | None = None,
    download: bool = True,
) -> Path:
    """Prepares MNIST (or Fashion-MNIST by its ``builder``) unless that is done already.

    Args, Returns, Raises: as ``preparing.prepare``; the sources are the four official gz files,
    searched for in ``preparing.manual_dir_of`` and fetched with TFDS's download manager where
    ``download``.
    """
    return preparing.prepare_registered(
        builder,
        data_dir,
        manual_dir=manual_dir,
        download=download,
        sources="the four official gz files",
    )


def read_split(
    split: str, *, data_dir: Path, builder: Any = MNIST
) -> tuple[np.ndarray, np.ndarray]:
    """Reads "train" or "test" in the order of the official files; see ``preparing.read_split``.

    MNIST is compared with its known sha256. Nobody has published one of Fashion-MNIST's pixels;
    its classes are known to be equally large, which MNIST's are not.

    Returns:
      Images [n, 784] uint8 (0 is background, 255 full ink) and labels [n] uint8.
    """
    folder = preparing.folder_of(builder, data_dir)
    known = _CONTENTS[split] if builder is MNIST else None
    images, labels = preparing.read_split(folder, split, contents=known)
    if builder is FashionMNIST and np.ptp(np.bincount(labels, minlength=10)):
        raise DataError(
            f"{folder}: the {split} set's classes are not equally large as Fashion-MNIST's are; "
            f"{preparing.again(folder)}"
        )
    return images, labels
