"""Imagenette at 37x37, grey: the stand-in for Small-ImageNet that can be had anywhere.

Imagenette (Howard, https://github.com/fastai/imagenette) is ten easily told synsets of ImageNet.
The source is its second edition with a shorter side of 160 pixels, ``imagenette2-160.tgz`` as TFDS
has it registered, or ``imagenette_grey37.npz``, which holds the same photographs already reduced.
TFDS's own set ``imagenette`` has photographs of all shapes, so this one has another name. See
``photographs`` and ``preparing``.
"""

import functools
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from experiments.data import photographs, preparing
from experiments.data.errors import DataError
from glorot_jax.files import first_line

URL = "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz"
REDUCED = "imagenette_grey37.npz"
CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
SIZES = {"train": 9469, "val": 3925}  # the official parts
VALIDATION = 1000  # of the official training part; the official validation part is the test set
SEED = 2010  # of the one fixed shuffle of each part


class Imagenette(
    photographs.Builder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """``imagenette_grey37``, from the archive, or from ``imagenette_grey37.npz`` if it is there."""

    name = "imagenette_grey37"
    VERSION = tfds.core.Version("1.0.0")
    url_infos = {URL: tfds.builder_cls("imagenette").url_infos[URL]}  # noqa: RUF012
    class_names = tuple(CLASSES.values())
    description = "Imagenette's photographs as 37x37 grey images."
    homepage = "https://github.com/fastai/imagenette"

    def _photographs(self, dl_manager: Any) -> dict[str, photographs.Photographs]:
        reduced = dl_manager._manual_dir / REDUCED  # manual_dir raises where there is none
        if reduced.exists():
            train, test = _read_reduced(Path(reduced))
        else:
            path = Path(dl_manager.download(URL))
            preparing.check_file(path, self.url_infos[URL])
            train, test = _read_archive(path)
        order = _shuffle(train)
        cut = len(order) - VALIDATION
        return {
            "train": photographs.take(train, order[:cut]),
            "validation": photographs.take(train, order[cut:]),
            "test": photographs.take(test, _shuffle(test)),
        }


def _shuffle(part: photographs.Photographs) -> np.ndarray:
    """A random order, by a stream that NumPy has frozen: the parts come class by class."""
    return np.random.RandomState(SEED).permutation(len(part.ids))


def _read_archive(path: Path) -> Iterator[photographs.Photographs]:
    """The parts "train" and "val" of the official archive, class by class, in order of file name.

    Raises:
      DataError: the archive is damaged or holds something else.
    """
    members: dict[str, list[tuple[str, str, bytes]]] = {part: [] for part in SIZES}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                _, part, wnid, name = (*Path(member.name).parts, "", "", "", "")[:4]
                if member.isfile() and part in SIZES and wnid in CLASSES:
                    members[part].append((wnid, name, archive.extractfile(member).read()))  # type: ignore[union-attr]
    except Exception as error:  # tarfile, gzip and zlib raise many kinds
        raise DataError(
            f"{path}: not a readable archive of imagenette ({first_line(error)})"
        ) from error
    wnids = list(CLASSES)
    for part, size in SIZES.items():
        if len(members[part]) != size:
            raise DataError(f"{path}: {part}: {len(members[part])} photographs instead of {size}")
        files = sorted(members[part])
        images = photographs.grey_squares(((name, file) for _, name, file in files), archive=path)
        labels = np.array([wnids.index(wnid) for wnid, _, _ in files], np.uint8)
        yield photographs.Photographs(np.stack(images), labels, [name for _, name, _ in files])


def _read_reduced(path: Path) -> Iterator[photographs.Photographs]:
    """The parts "train" and "val" of ``imagenette_grey37.npz``, in its order.

    Its arrays: ``x_train`` [9469, 37, 37] and ``x_val`` [3925, 37, 37] uint8, ``y_train`` and
    ``y_val`` whole numbers in 0..9, ``wnids`` the ten synsets they count.

    Raises:
      DataError: the file is damaged or holds something else.
    """
    kinds = {"x_train": "u", "y_train": "iu", "x_val": "u", "y_val": "iu", "wnids": "U"}
    wanted: dict[str, tuple[int, ...]] = {"wnids": (len(CLASSES),)}
    for part, size in SIZES.items():
        wanted[f"x_{part}"] = (size, photographs.SIDE, photographs.SIDE)
        wanted[f"y_{part}"] = (size,)
    try:
        content = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(content) as archive:
            # NumPy doesn't read to the end of what has a damaged header: no checksum is compared.
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged}: its checksum is wrong")
        content.seek(0)
        with np.load(content) as file:
            arrays = {name: file[name] for name in wanted}
    except Exception as error:  # numpy, tokenize, zipfile and zlib raise many kinds
        raise DataError(f"{path}: cannot be read ({first_line(error)})") from error
    for name, shape in wanted.items():
        array = arrays[name]
        if array.shape != shape or array.dtype.kind not in kinds[name]:
            kind = {"u": "uint8", "iu": "whole numbers", "U": "text"}[kinds[name]]
            raise DataError(
                f"{path}: {name}: {array.dtype} {array.shape} instead of {kind} {shape}"
            )
        if name[0] == "x" and array.dtype != np.uint8:
            raise DataError(f"{path}: {name}: {array.dtype} instead of uint8")
        if name[0] == "y" and not np.array_equal(np.unique(array), np.arange(len(CLASSES))):
            raise DataError(f"{path}: {name}: its labels are not 0..{len(CLASSES) - 1}")
    if tuple(arrays["wnids"]) != tuple(CLASSES):
        raise DataError(f"{path}: wnids: not imagenette's {', '.join(CLASSES)}, in this order")
    for part, size in SIZES.items():
        yield photographs.Photographs(
            arrays[f"x_{part}"],
            arrays[f"y_{part}"].astype(np.uint8),
            [f"{part}_{row:05d}" for row in range(size)],
        )


def prepare(data_dir: Path, *, manual_dir: Path | None = None, download: bool = True) -> Path:
    """Prepares imagenette unless that is done already.

    Args, Returns, Raises: as ``preparing.prepare``; the source is ``imagenette_grey37.npz`` or
    ``imagenette2-160.tgz``, searched for in this order in ``preparing.manual_dir_of``. The archive
    is fetched with TFDS's download manager where ``download``.
    """
    manual_dir = preparing.manual_dir_of(Imagenette, data_dir, manual_dir)
    remedy = (
        f"put imagenette2-160.tgz or {REDUCED} in {manual_dir}, or give a --data_dir that holds a "
        f"prepared {Imagenette.name}/{Imagenette.VERSION}"
    )
    reduced = manual_dir / REDUCED
    registered = functools.partial(
        preparing.check_registered,
        Imagenette,
        manual_dir=manual_dir,
        downloads=data_dir / "downloads",
        download=download,
        remedy=remedy,
    )

    def check() -> None:
        if reduced.exists():
            list(_read_reduced(reduced))
        else:
            registered()

    return preparing.prepare(
        Imagenette, data_dir, manual_dir=manual_dir, check=check, remedy=remedy
    )


def read_split(split: str, *, data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads "train", "validation" or "test"; see ``preparing.read_split``.

    Returns:
      Images [n, 1369] uint8 and labels [n] uint8.
    """
    return preparing.read_split(preparing.folder_of(Imagenette, data_dir), split)
