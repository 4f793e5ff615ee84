"""The finite data sets: MNIST through TFDS, and scikit-learn's digits as its stand-in."""

import os
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from glorot_jax.data.errors import DataError, DataMissing
from glorot_jax.data.stream import Batch, Task, finite_stream

NAMES = ("mnist", "digits")

# Pixels are divided by the largest grey level, so that inputs lie in [0, 1]: 0 is background, and
# an unwritten pixel then contributes nothing. The paper does not say which range it used; [0, 1] is
# that of the MNIST file its authors' laboratory gave out with its tutorials (mnist.pkl.gz), and of
# a configuration in the first author's later code.
MNIST_WHITE = 255
DIGITS_WHITE = 16

DIGITS_SEED = 2010  # of the one fixed shuffle of scikit-learn's digits


class Finite(NamedTuple):
    """A finite set in memory: training, validation and test examples, one after another.

    ``x`` [n, inputs] uint8 grey levels in 0..``white``; ``y`` [n] uint8 class indices; ``sizes``
    (training, validation, test), which add up to n; ``origin`` says where they come from.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    sizes: tuple[int, int, int]
    white: int
    origin: str


def default_data_dir(data_dir: str | os.PathLike | None = None) -> Path:
    """TFDS's rule: the argument, else ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``."""
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(chosen).expanduser()


def load_mnist(
    *,
    data_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
    download: bool = True,
) -> Finite:
    """MNIST, split as in the paper: 50 000 training, 10 000 validation, 10 000 test examples.

    The order is that of the official files: the first 50 000 of their 60 000 training examples
    are for training, the last 10 000 for validation. The first use prepares the set (about 15 s).

    Args:
      data_dir: TFDS's data folder; see ``default_data_dir``.
      manual_dir: folder searched first for the four official gz files,
        ``data_dir/downloads/manual`` when None.
      download: whether files that are not there may be fetched.

    Returns:
      x [70000, 784], y [70000].

    Raises:
      DataMissing: the set is not prepared, files are missing and cannot be fetched.
      DataError: a file is damaged or is not MNIST's.

    Source: LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/, by TFDS's ``mnist:3.0.1``.
    """
    from glorot_jax.data import mnist_builder  # imports TFDS, which takes a while

    root = default_data_dir(data_dir)
    folder = mnist_builder.prepare(
        root, manual_dir=Path(manual_dir).expanduser() if manual_dir else None, download=download
    )
    train_x, train_y = mnist_builder.read_split("train", data_dir=root)
    test_x, test_y = mnist_builder.read_split("test", data_dir=root)
    return Finite(
        name="mnist",
        x=np.concatenate([train_x, test_x]),
        y=np.concatenate([train_y, test_y]),
        sizes=(50_000, 10_000, 10_000),
        white=MNIST_WHITE,
        origin=f"MNIST, TFDS's {'/'.join(folder.parts[-2:])}, in the order of the official files.",
    )


def load_digits() -> Finite:
    """scikit-learn's 1797 8x8 digits, split 5:1:1 as MNIST: 1283, 257 and 257 examples.

    Their order is not known to be random, so they are shuffled once, by
    ``numpy.random.RandomState(2010).permutation(1797)`` (a stream that NumPy has frozen).

    Returns:
      x [1797, 64] with grey levels 0..16, y [1797].

    Source: ``sklearn.datasets.load_digits``, the test set of UCI's "Optical Recognition of
    Handwritten Digits". Bundled with scikit-learn: no network, no files.
    """
    import sklearn.datasets  # takes a second or two

    x, y = sklearn.datasets.load_digits(return_X_y=True)
    order = np.random.RandomState(DIGITS_SEED).permutation(len(y))
    held_out = round(len(y) / 7)
    return Finite(
        name="digits",
        x=x[order].astype(np.uint8),
        y=y[order].astype(np.uint8),
        sizes=(len(y) - 2 * held_out, held_out, held_out),
        white=DIGITS_WHITE,
        origin="scikit-learn's 1797 8x8 digits, shuffled once and split 5:1:1.",
    )


def as_task(finite: Finite, *, block_size: int) -> Task:
    """A ``Task`` of a finite set of digits: inputs float32 in [0, 1], labels int32.

    Raises:
      DataError: ``block_size`` is not in 1..the number of training examples.
    """
    ends = np.cumsum(finite.sizes)
    if not 1 <= block_size <= ends[0]:
        raise DataError(
            f"block_size: {block_size} is not in 1..{ends[0]}, {finite.name}'s training examples"
        )
    parts = [slice(end - size, end) for end, size in zip(ends, finite.sizes, strict=True)]
    train, validation, test = (
        Batch(
            jnp.asarray(finite.x[part].astype(np.float32) / np.float32(finite.white)),
            jnp.asarray(finite.y[part].astype(np.int32)),
        )
        for part in parts
    )
    return Task(
        name=finite.name,
        class_names=tuple("0123456789"),
        train=finite_stream(train, block_size=block_size),
        validation=validation,
        test=test,
        origin=finite.origin,
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
      name: "mnist" (784 inputs) or "digits" (64 inputs).
      block_size: examples per block of the training stream.
      data_dir, manual_dir, download: see ``load_mnist``; digits need none of them.
      fallback: "digits" to get the digits where MNIST cannot be had; ``origin`` then says so and
        why. Damaged MNIST files are an error all the same.

    Raises:
      DataMissing: MNIST cannot be had and there is no fallback.
      DataError: an unknown name or fallback, a bad block_size, or a damaged file.
    """
    if name not in NAMES:
        raise DataError(f"name: {name!r} is not one of {', '.join(NAMES)}")
    if fallback not in (None, "digits"):
        raise DataError(f"fallback: {fallback!r} is not one of None, 'digits'")
    if name == "digits":
        return as_task(load_digits(), block_size=block_size)
    try:
        finite = load_mnist(data_dir=data_dir, manual_dir=manual_dir, download=download)
    except DataMissing as error:
        if fallback is None:
            raise
        digits = load_digits()
        origin = f"MNIST could not be had ({error.reason}), so these are {digits.origin}"
        finite = digits._replace(origin=origin)
    return as_task(finite, block_size=block_size)
