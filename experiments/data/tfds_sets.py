"""The finite data sets: those of TFDS, and scikit-learn's digits as MNIST's stand-in.

Each is read by a function ``(place) -> ArrayDataset``; the first use prepares it.
"""

from typing import Any

import numpy as np

from experiments.data.arrays import ArrayDataset, Place

DIGITS_SEED = 2010  # of the one fixed shuffle of scikit-learn's digits

_DIGIT_NAMES = tuple("0123456789")
_FASHION_NAMES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """The fields ``x`` and ``y`` of a set read split by split."""
    x, y = zip(*parts, strict=True)
    return {"x": np.concatenate(x), "y": np.concatenate(y)}


def load_mnist(place: Place) -> ArrayDataset:
    """LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/, split as in the paper."""
    from experiments.data import mnist_builder

    return _from_idx(place, "MNIST", mnist_builder.MNIST, _DIGIT_NAMES)


def load_fashion_mnist(place: Place) -> ArrayDataset:
    """Xiao, Rasul and Vollgraf (2017), split as MNIST."""
    from experiments.data import mnist_builder

    builder = mnist_builder.FashionMNIST
    return _from_idx(place, "Fashion-MNIST", builder, _FASHION_NAMES)


def _from_idx(place: Place, title: str, builder: Any, class_names: tuple[str, ...]) -> ArrayDataset:
    from experiments.data import mnist_builder

    folder = mnist_builder.prepare(
        place.data_dir, builder=builder, manual_dir=place.manual_dir, download=place.download
    )
    splits = [
        mnist_builder.read_split(split, data_dir=place.data_dir, builder=builder)
        for split in ("train", "test")
    ]
    return ArrayDataset(
        **_joined(splits),
        sizes=(50_000, 10_000, 10_000),
        white=255,
        image_shape=(28, 28, 1),
        class_names=class_names,
        origin=(
            f"{title}, TFDS's {'/'.join(folder.parts[-2:])}, in the order of the official files."
        ),
    )


def load_cifar10(place: Place) -> ArrayDataset:
    """Krizhevsky (2009), https://www.cs.toronto.edu/~kriz/cifar.html, split as in the paper."""
    from experiments.data import cifar10

    folder = cifar10.prepare(place.data_dir, manual_dir=place.manual_dir, download=place.download)
    splits = [cifar10.read_split(split, data_dir=place.data_dir) for split in ("train", "test")]
    return ArrayDataset(
        **_joined(splits),
        sizes=(40_000, 10_000, 10_000),
        white=255,
        image_shape=(32, 32, 3),
        class_names=cifar10.CLASS_NAMES,
        origin=f"CIFAR-10, TFDS's {'/'.join(folder.parts[-2:])}, in the order of its batches.",
    )


def load_small_imagenet(place: Place) -> ArrayDataset:
    """ImageNet's photographs in the paper's ten classes, split as in the paper."""
    from experiments.data import small_imagenet

    folder = small_imagenet.prepare(place.data_dir, manual_dir=place.manual_dir)
    return _from_photographs(
        [small_imagenet.read_split(split, data_dir=place.data_dir) for split in _PHOTOGRAPHS],
        class_names=small_imagenet.SmallImagenet.class_names,
        origin=(
            f"Small-ImageNet, made from ImageNet's synsets by {'/'.join(folder.parts[-3:])}, "
            "37x37 grey."
        ),
    )


def load_imagenette(place: Place) -> ArrayDataset:
    """fast.ai's ten easily told classes of ImageNet: 8469, 1000 and 3925 photographs."""
    from experiments.data import imagenette

    folder = imagenette.prepare(
        place.data_dir, manual_dir=place.manual_dir, download=place.download
    )
    return _from_photographs(
        [imagenette.read_split(split, data_dir=place.data_dir) for split in _PHOTOGRAPHS],
        class_names=imagenette.Imagenette.class_names,
        origin=(
            f"imagenette, ten classes of ImageNet, as {'/'.join(folder.parts[-2:])}, 37x37 grey."
        ),
    )


_PHOTOGRAPHS = ("train", "validation", "test")


def _from_photographs(
    splits: list[tuple[np.ndarray, np.ndarray]],
    *,
    class_names: tuple[str, ...],
    origin: str,
) -> ArrayDataset:
    train, validation, test = (len(labels) for _, labels in splits)
    return ArrayDataset(
        **_joined(splits),
        sizes=(train, validation, test),
        white=255,
        image_shape=(37, 37, 1),
        class_names=class_names,
        origin=origin,
    )


def load_digits(place: Place | None = None) -> ArrayDataset:
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
    return ArrayDataset(
        x=x[order].astype(np.uint8),
        y=y[order].astype(np.uint8),
        sizes=(len(y) - 2 * held_out, held_out, held_out),
        white=16,
        image_shape=(8, 8, 1),
        class_names=_DIGIT_NAMES,
        origin="scikit-learn's 1797 8x8 digits, shuffled once and split 5:1:1.",
    )
