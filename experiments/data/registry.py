"""Every data set by name: what it is called, how it is loaded, and its task."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.data import tfds_sets
from experiments.data.arrays import ArrayDataset, DataSetInfo, Place, default_data_dir
from experiments.data.errors import DataError, DataMissing
from glorot_jax import processes
from glorot_jax.data.stream import Batch, Task, finite_stream

SHAPESET = "shapeset"  # the paper's own, and the set it shows wherever it shows one only
INK = (0.0, 1.0)  # digits and clothes on an empty background
PHOTOGRAPH = (-1.0, 1.0)

# In the order of Table 1, a stand-in after what it stands in for; the last is not in the paper.
_ALL = (
    DataSetInfo(SHAPESET, "Shapeset-3x2", (-1.0, 1.0)),
    DataSetInfo("mnist", "MNIST", INK, tfds_sets.load_mnist),
    DataSetInfo(
        "digits", "digits of 8 x 8 pixels (not MNIST)", INK, tfds_sets.load_digits, "mnist"
    ),
    DataSetInfo("cifar10", "CIFAR-10", PHOTOGRAPH, tfds_sets.load_cifar10),
    DataSetInfo("small_imagenet", "Small-ImageNet", PHOTOGRAPH, tfds_sets.load_small_imagenet),
    DataSetInfo(
        "imagenette",
        "Imagenette (not Small-ImageNet)",
        PHOTOGRAPH,
        tfds_sets.load_imagenette,
        "small_imagenet",
    ),
    DataSetInfo("fashion_mnist", "Fashion-MNIST", INK, tfds_sets.load_fashion_mnist),
)
DATA_SETS: Mapping[str, DataSetInfo] = MappingProxyType({info.name: info for info in _ALL})
FINITE = tuple(info.name for info in _ALL if info.load)
# What is trained on where a set of the paper can't be had, by that set.
STAND_IN: Mapping[str, str] = MappingProxyType(
    {info.stands_in_for: info.name for info in _ALL if info.stands_in_for}
)


def load(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
    download: bool = True,
) -> ArrayDataset:
    """A finite set, split as docs/protocol.md says. The first use prepares it.

    Of several processes the first reads it, for all.

    Args:
      name: one of ``FINITE``; "digits" needs none of the other arguments.
      data_dir: TFDS's data folder; see ``default_data_dir``.
      manual_dir: folder searched first for the official files, or a folder inside with the name
        that the set has in ``data_dir``; ``data_dir/downloads/manual`` when None.
      download: whether files that are not there may be fetched.

    Raises:
      DataMissing: the set is not prepared, files are missing and cannot be fetched.
      DataError: an unknown name, or a file that is damaged or not the official one.
    """
    loader = DATA_SETS[name].load if name in DATA_SETS else None
    if loader is None:
        raise DataError(f"name: {name!r} is not one of {', '.join(FINITE)}")
    folder = Path(manual_dir).expanduser() if manual_dir else None
    place = Place(default_data_dir(data_dir), folder, download)
    return processes.first(lambda: loader(place))


def as_task(name: str, dataset: ArrayDataset, *, block_size: int) -> Task:
    """A ``Task`` of the set ``name``: inputs float32 in its ``pixel_range``, labels int32.

    Raises:
      DataError: ``block_size`` is not in 1..the number of training examples.
    """
    ends = np.cumsum(dataset.sizes)
    if not 1 <= block_size <= ends[0]:
        raise DataError(
            f"block_size: {block_size} is not in 1..{ends[0]}, {name}'s training examples"
        )
    low, high = (np.float32(end) for end in DATA_SETS[name].pixel_range)
    levels = np.arange(dataset.white + 1, dtype=np.float32) / np.float32(dataset.white)
    inputs = low + (high - low) * levels
    parts = [slice(end - size, end) for end, size in zip(ends, dataset.sizes, strict=True)]
    train, validation, test = (
        Batch(jnp.asarray(inputs[dataset.x[part]]), jnp.asarray(dataset.y[part].astype(np.int32)))
        for part in parts
    )
    return Task(
        name=name,
        class_names=dataset.class_names,
        train=finite_stream(train, block_size=block_size),
        validation=validation,
        test=test,
        image_shape=dataset.image_shape,
        origin=dataset.origin,
        pixel_range=DATA_SETS[name].pixel_range,
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
      name: one of ``FINITE``.
      block_size: examples per block of the training stream.
      data_dir, manual_dir, download: see ``load``.
      fallback: another of ``FINITE``, to be had where ``name`` cannot; the task's ``name`` and
        ``origin`` then say so and why. Damaged files are an error all the same.

    Raises:
      DataMissing: the set cannot be had, nor the fallback if there is one.
      DataError: an unknown name or fallback, a bad block_size, or a damaged file.
    """
    if fallback is not None and fallback not in FINITE:
        raise DataError(f"fallback: {fallback!r} is not one of None, {', '.join(FINITE)}")
    place: Any = {"data_dir": data_dir, "manual_dir": manual_dir, "download": download}
    try:
        return as_task(name, load(name, **place), block_size=block_size)
    except DataMissing as error:
        if fallback is None:
            raise
        try:
            stand_in = load(fallback, **place)
        except DataMissing as neither:
            reason = f"{error.reason}, nor its stand-in {neither.reason}"
            raise DataMissing(reason, f"{error.remedy}; or {neither.remedy}") from error
        origin = f"{name} could not be had ({error.reason}), so this is {stand_in.origin}"
        return as_task(fallback, replace(stand_in, origin=origin), block_size=block_size)
