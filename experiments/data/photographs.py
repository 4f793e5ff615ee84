"""Photographs as the paper's Small-ImageNet shows them: 37x37 grey squares, in sets of TFDS.

What ``small_imagenet`` and ``imagenette`` share: reducing a photograph, and a builder that writes
the reduced ones. See ``preparing``.
"""

import concurrent.futures
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from experiments.data import preparing
from experiments.data.errors import DataError

SIDE = 37  # pixels, the paper's section 2.2


@dataclass(frozen=True)
class Photographs:
    """Reduced photographs: ``images`` [n, 37, 37] uint8, ``labels`` [n] uint8, ``ids`` n names."""

    images: np.ndarray
    labels: np.ndarray
    ids: list[str]


def take(photographs: Photographs, rows: np.ndarray) -> Photographs:
    """Some of the photographs, in the order of ``rows``."""
    ids = [photographs.ids[row] for row in rows]
    return Photographs(photographs.images[rows], photographs.labels[rows], ids)


class Builder(
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """A builder whose ``_photographs(dl_manager)`` returns the ``Photographs`` of each split.

    The key of an example is its index, and the ``digest`` of each split goes to the set's metadata:
    ``preparing.read_split`` relies on both.
    """

    class_names: tuple[str, ...]
    description: str
    homepage = "https://www.image-net.org"

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.description,
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(SIDE, SIDE, 1)),
                    "label": tfds.features.ClassLabel(names=self.class_names),
                }
            ),
            supervised_keys=("image", "label"),
            homepage=self.homepage,
            metadata=tfds.core.MetadataDict(),
        )

    def _photographs(self, dl_manager: Any) -> dict[str, Photographs]:
        raise NotImplementedError

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        splits = self._photographs(dl_manager)
        for split, photographs in splits.items():
            self.info.metadata[split] = preparing.digest(photographs.images, photographs.labels)
        return {split: self._generate_examples(each) for split, each in splits.items()}

    def _generate_examples(self, photographs: Photographs) -> Iterator[tuple[int, dict]]:
        each = zip(photographs.images, photographs.labels, photographs.ids, strict=True)
        for index, (image, label, name) in enumerate(each):
            pixels = PIL.Image.fromarray(image)
            yield index, {"id": name, "image": pixels, "label": int(label)}


def grey_square(file: bytes) -> np.ndarray:
    """The middle square of an image file, grey, 37x37 uint8.

    Grey is ITU-R 601's luma (PIL's mode "L"). The square, as wide as the image's shorter side, is
    resized by PIL's Lanczos filter, widened by the reduction as PIL does: no aliasing, and the
    sharpest of PIL's filters; in the paper's days PIL called it ANTIALIAS.

    Raises:
      OSError and others of PIL's: the file is no image, or only part of one.
    """
    image = PIL.Image.open(io.BytesIO(file)).convert("L")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((SIDE, SIDE), PIL.Image.Resampling.LANCZOS))


def grey_squares(files: Iterable[tuple[str, bytes]], *, archive: Any) -> list[np.ndarray]:
    """``grey_square`` of many (name, file), on all cores.

    Raises:
      DataError: names ``archive`` and the first file that is not an image.
    """

    def reduce(named: tuple[str, bytes]) -> np.ndarray:
        name, file = named
        try:
            return grey_square(file)
        except Exception as error:  # PIL's plug-ins raise what they like
            raise DataError(f"{archive}: {name} is not a readable image ({error})") from error

    with concurrent.futures.ThreadPoolExecutor() as pool:  # PIL lets go of the GIL
        return list(pool.map(reduce, files))


def draw(name: str) -> bytes:
    """What photographs are drawn by: the md5 of a file's name, as good as random and for ever."""
    return hashlib.md5(name.encode(), usedforsecurity=False).digest()
