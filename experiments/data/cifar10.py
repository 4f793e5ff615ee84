"""TFDS's CIFAR-10, prepared without TensorFlow from ``cifar-10-binary.tar.gz``.

The builder reads the batches straight from the archive; name, version, features and keys stay
TFDS's, so the prepared folder, ``DATA_DIR/cifar10/3.0.2``, holds the examples any TFDS reads from
it. See ``preparing``.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from experiments.data import preparing
from experiments.data.errors import DataError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CLASS_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

# The archive's files, in the order of the official numbering.
_BATCHES = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
# The ``preparing.digest`` of the splits in this order.
_CONTENTS = {
    "train": "f912919bdea371136f1aa4feed6beeca728015a5f08b1899a29c932a7e30be2b",
    "test": "8193b3fbce55bec361cd1b8fd4880cb1649832dc4d6de6da1e7a21847a4843aa",
}
_CHANNELS, _SIDE = 3, 32


class CIFAR10(  # the registered name stays with TFDS's own builder
    tfds.image_classification.Cifar10,
    skip_registration=True,  # type: ignore[call-arg]
):
    """TFDS's CIFAR-10 builder less its use of TensorFlow."""

    name = "cifar10"
    url_infos = tfds.image_classification.Cifar10.url_infos

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        path = Path(dl_manager.download(URL))
        preparing.check_file(path, self.url_infos[URL])
        self.info.features["label"].names = CLASS_NAMES
        return {split: self._generate_examples(path, split) for split in _BATCHES}

    def _generate_examples(self, path: Path, split: str) -> Iterator[tuple[int, dict]]:
        for index, (label, image) in enumerate(_read_batches(path, _BATCHES[split])):
            yield (
                index,
                {
                    "id": f"{split}_{index:05d}",
                    "image": PIL.Image.fromarray(image),
                    "label": int(label),
                },
            )


def _read_batches(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, np.ndarray]]:
    """Labels and images [32, 32, 3] of an archive's batches, one after another."""
    record = np.dtype([("label", "u1"), ("planes", "u1", (_CHANNELS, _SIDE, _SIDE))])
    try:
        with tarfile.open(path) as archive:
            for name in names:
                file = archive.extractfile(f"cifar-10-batches-bin/{name}")
                assert file is not None  # None is for folders and devices
                for example in np.frombuffer(file.read(), record):
                    image = example["planes"].transpose(1, 2, 0)
                    yield example["label"], np.ascontiguousarray(image)
    except (tarfile.TarError, KeyError, EOFError, ValueError) as error:
        raise DataError(f"{path}: not an archive of CIFAR-10's batches ({error})") from error


def prepare(data_dir: Path, *, manual_dir: Path | None = None, download: bool = True) -> Path:
    """Prepares CIFAR-10 unless that is done already.

    Args, Returns, Raises: as ``preparing.prepare``; the source is the official archive
    ``cifar-10-binary.tar.gz``, searched for in ``preparing.manual_dir_of`` and fetched with TFDS's
    download manager where ``download``.
    """
    return preparing.prepare_registered(
        CIFAR10,
        data_dir,
        manual_dir=manual_dir,
        download=download,
        sources="cifar-10-binary.tar.gz",
    )


def read_split(split: str, *, data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads "train" or "test" in the order of the official batches; see ``preparing.read_split``.

    Returns:
      Images [n, 32 * 32 * 3] uint8, row by row with the channels last, and labels [n] uint8.
    """
    folder = preparing.folder_of(CIFAR10, data_dir)
    return preparing.read_split(folder, split, contents=_CONTENTS[split])
