"""The finite data sets: those of TFDS, and scikit-learn's digits as MNIST's stand-in."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments.data.errors import DataError, DataMissing
from glorot_jax.data.stream import Batch, Task, finite_stream

# What black and white become. docs/protocol.md has the reasons.
INK = (0.0, 1.0)  # digits and clothes on an empty background
PHOTOGRAPH = (-1.0, 1.0)

DIGITS_SEED = 2010  # of the one fixed shuffle of scikit-learn's digits

_DIGIT_NAMES = tuple("0123456789")
_FASHION_NAMES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


class Finite(NamedTuple):
    """A finite set in memory: training, validation and test examples, one after another.

    Attributes:
      name: one of ``NAMES``.
      x: [n, height * width * channels] uint8 levels in 0..``white``.
      y: [n] uint8 indices of ``class_names``.
      sizes: (training, validation, test), which add up to n.
      white: the highest level.
      pixel_range: what the levels 0 and ``white`` become as inputs.
      image_shape: (height, width, channels).
      class_names: one a class.
      origin: where the examples come from.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    sizes: tuple[int, int, int]
    white: int
    pixel_range: tuple[float, float]
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    origin: str


class Place(NamedTuple):
    """Where a set is looked for: TFDS's data folder, the folder of sources, and the network."""

    data_dir: Path
    manual_dir: Path | None
    download: bool


def default_data_dir(data_dir: str | os.PathLike | None = None) -> Path:
    """TFDS's rule: the argument, else ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``."""
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(chosen).expanduser()


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """The fields ``x`` and ``y`` of a set read split by split."""
    x, y = zip(*parts, strict=True)
    return {"x": np.concatenate(x), "y": np.concatenate(y)}


def _load_mnist(place: Place) -> Finite:
    """LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/, split as in the paper."""
    from experiments.data import mnist_builder

    return _from_idx(place, "mnist", "MNIST", mnist_builder.MNIST, _DIGIT_NAMES)


def _load_fashion_mnist(place: Place) -> Finite:
    """Xiao, Rasul and Vollgraf (2017), split as MNIST."""
    from experiments.data import mnist_builder

    builder = mnist_builder.FashionMNIST
    return _from_idx(place, "fashion_mnist", "Fashion-MNIST", builder, _FASHION_NAMES)


def _from_idx(
    place: Place, name: str, title: str, builder: Any, class_names: tuple[str, ...]
) -> Finite:
    from experiments.data import mnist_builder

    folder = mnist_builder.prepare(
        place.data_dir, builder=builder, manual_dir=place.manual_dir, download=place.download
    )
    splits = [
        mnist_builder.read_split(split, data_dir=place.data_dir, builder=builder)
        for split in ("train", "test")
    ]
    return Finite(
        name=name,
        **_joined(splits),
        sizes=(50_000, 10_000, 10_000),
        white=255,
        pixel_range=INK,
        image_shape=(28, 28, 1),
        class_names=class_names,
        origin=(
            f"{title}, TFDS's {'/'.join(folder.parts[-2:])}, in the order of the official files."
        ),
    )


def _load_cifar10(place: Place) -> Finite:
    """Krizhevsky (2009), https://www.cs.toronto.edu/~kriz/cifar.html, split as in the paper."""
    from experiments.data import cifar10

    folder = cifar10.prepare(place.data_dir, manual_dir=place.manual_dir, download=place.download)
    splits = [cifar10.read_split(split, data_dir=place.data_dir) for split in ("train", "test")]
    return Finite(
        name="cifar10",
        **_joined(splits),
        sizes=(40_000, 10_000, 10_000),
        white=255,
        pixel_range=PHOTOGRAPH,
        image_shape=(32, 32, 3),
        class_names=cifar10.CLASS_NAMES,
        origin=f"CIFAR-10, TFDS's {'/'.join(folder.parts[-2:])}, in the order of its batches.",
    )


def _load_small_imagenet(place: Place) -> Finite:
    """ImageNet's photographs in the paper's ten classes, split as in the paper."""
    from experiments.data import small_imagenet

    folder = small_imagenet.prepare(place.data_dir, manual_dir=place.manual_dir)
    return _from_photographs(
        "small_imagenet",
        [small_imagenet.read_split(split, data_dir=place.data_dir) for split in _PHOTOGRAPHS],
        class_names=small_imagenet.SmallImagenet.class_names,
        origin=(
            f"Small-ImageNet, made from ImageNet's synsets by {'/'.join(folder.parts[-3:])}, "
            "37x37 grey."
        ),
    )


def _load_imagenette(place: Place) -> Finite:
    """fast.ai's ten easily told classes of ImageNet: 8469, 1000 and 3925 photographs."""
    from experiments.data import imagenette

    folder = imagenette.prepare(
        place.data_dir, manual_dir=place.manual_dir, download=place.download
    )
    return _from_photographs(
        "imagenette",
        [imagenette.read_split(split, data_dir=place.data_dir) for split in _PHOTOGRAPHS],
        class_names=imagenette.Imagenette.class_names,
        origin=(
            f"imagenette, ten classes of ImageNet, as {'/'.join(folder.parts[-2:])}, 37x37 grey."
        ),
    )


_PHOTOGRAPHS = ("train", "validation", "test")


def _from_photographs(
    name: str,
    splits: list[tuple[np.ndarray, np.ndarray]],
    *,
    class_names: tuple[str, ...],
    origin: str,
) -> Finite:
    train, validation, test = (len(labels) for _, labels in splits)
    return Finite(
        name=name,
        **_joined(splits),
        sizes=(train, validation, test),
        white=255,
        pixel_range=PHOTOGRAPH,
        image_shape=(37, 37, 1),
        class_names=class_names,
        origin=origin,
    )


def _load_digits(place: Place | None = None) -> Finite:
    """scikit-learn's 1797 8x8 digits, split 5:1:1 as MNIST: 1283, 257 and 257 examples.

    Their order is not known to be random, so they are shuffled once, by
    ``numpy.random.RandomState(2010).permutation(1797)`` (a stream that NumPy has frozen).

    Source: ``sklearn.datasets.load_digits``, the test set of UCI's "Optical Recognition of
    Handwritten Digits". Bundled with scikit-learn: no network, no files.
    """
    del place
    import sklearn.datasets  # takes a second or two

    x, y = sklearn.datasets.load_digits(return_X_y=True)
    order = np.random.RandomState(DIGITS_SEED).permutation(len(y))
    held_out = round(len(y) / 7)
    return Finite(
        name="digits",
        x=x[order].astype(np.uint8),
        y=y[order].astype(np.uint8),
        sizes=(len(y) - 2 * held_out, held_out, held_out),
        white=16,
        pixel_range=INK,
        image_shape=(8, 8, 1),
        class_names=_DIGIT_NAMES,
        origin="scikit-learn's 1797 8x8 digits, shuffled once and split 5:1:1.",
    )


_LOADERS: dict[str, Callable[[Place], Finite]] = {
    "mnist": _load_mnist,
    "fashion_mnist": _load_fashion_mnist,
    "cifar10": _load_cifar10,
    "small_imagenet": _load_small_imagenet,
    "imagenette": _load_imagenette,
    "digits": _load_digits,
}
NAMES = tuple(_LOADERS)


def load(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
    download: bool = True,
) -> Finite:
    """A finite set, split as docs/protocol.md says. The first use prepares it.

    Args:
      name: one of ``NAMES``; "digits" needs none of the other arguments.
      data_dir: TFDS's data folder; see ``default_data_dir``.
      manual_dir: folder searched first for the official files, or a folder inside with the name
        that the set has in ``data_dir``; ``data_dir/downloads/manual`` when None.
      download: whether files that are not there may be fetched.

    Raises:
      DataMissing: the set is not prepared, files are missing and cannot be fetched.
      DataError: an unknown name, or a file that is damaged or not the official one.
    """
    if name not in NAMES:
        raise DataError(f"name: {name!r} is not one of {', '.join(NAMES)}")
    folder = Path(manual_dir).expanduser() if manual_dir else None
    return _LOADERS[name](Place(default_data_dir(data_dir), folder, download))


def as_task(finite: Finite, *, block_size: int) -> Task:
    """A ``Task`` of a finite set: inputs float32 in ``pixel_range``, labels int32.

    Raises:
      DataError: ``block_size`` is not in 1..the number of training examples.
    """
    ends = np.cumsum(finite.sizes)
    if not 1 <= block_size <= ends[0]:
        raise DataError(
            f"block_size: {block_size} is not in 1..{ends[0]}, {finite.name}'s training examples"
        )
    low, high = (np.float32(end) for end in finite.pixel_range)
    levels = np.arange(finite.white + 1, dtype=np.float32) / np.float32(finite.white)
    inputs = low + (high - low) * levels
    parts = [slice(end - size, end) for end, size in zip(ends, finite.sizes, strict=True)]
    train, validation, test = (
        Batch(jnp.asarray(inputs[finite.x[part]]), jnp.asarray(finite.y[part].astype(np.int32)))
        for part in parts
    )
    return Task(
        name=finite.name,
        class_names=finite.class_names,
        train=finite_stream(train, block_size=block_size),
        validation=validation,
        test=test,
        image_shape=finite.image_shape,
        origin=finite.origin,
        pixel_range=finite.pixel_range,
    )


def task(
    name: str,
    *,
    block_size: int,
    data_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
    download: bool = True,
    fallback: str | None = None,
) -> Task:
    """A finite data set ready for training.

    >>> task("digits", block_size=10).test.x.shape
    (257, 64)

    Args:
      name: one of ``NAMES``.
      block_size: examples per block of the training stream.
      data_dir, manual_dir, download: see ``load``.
      fallback: another of ``NAMES``, to be had where ``name`` cannot; the task's ``name`` and
        ``origin`` then say so and why. Damaged files are an error all the same.

    Raises:
      DataMissing: the set cannot be had, nor the fallback if there is one.
      DataError: an unknown name or fallback, a bad block_size, or a damaged file.
    """
    if fallback is not None and fallback not in NAMES:
        raise DataError(f"fallback: {fallback!r} is not one of None, {', '.join(NAMES)}")
    place: Any = {"data_dir": data_dir, "manual_dir": manual_dir, "download": download}
    try:
        finite = load(name, **place)
    except DataMissing as error:
        if fallback is None:
            raise
        try:
            stand_in = load(fallback, **place)
        except DataMissing as neither:
            reason = f"{error.reason}, nor its stand-in {neither.reason}"
            raise DataMissing(reason, f"{error.remedy}; or {neither.remedy}") from error
        origin = f"{name} could not be had ({error.reason}), so this is {stand_in.origin}"
        finite = stand_in._replace(origin=origin)
    return as_task(finite, block_size=block_size)
