"""A finite data set in memory, what is known of each set, and where sets are looked for."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class ArrayDataset:
    """A finite set in memory: training, validation and test examples, one after another.

    Attributes:
      x: [n, height * width * channels] uint8 levels in 0..``white``.
      y: [n] uint8 indices of ``class_names``.
      sizes: (training, validation, test), which add up to n.
      white: the highest level.
      image_shape: (height, width, channels).
      class_names: one a class.
      origin: where the examples come from, in one sentence.
    """

    x: np.ndarray
    y: np.ndarray
    sizes: tuple[int, int, int]
    white: int
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    origin: str


@dataclass(frozen=True)
class Place:
    """Where a set is looked for: TFDS's data folder, the folder of sources, and the network."""

    data_dir: Path
    manual_dir: Path | None
    download: bool


@dataclass(frozen=True)
class DataSetInfo:
    """What is known of a data set before it is loaded.

    Attributes:
      name: what configs and results call it.
      title: what pages and figures call it.
      pixel_range: what black and white become as inputs; docs/protocol.md has the reasons.
      load: reads it, split as docs/protocol.md says; None of a set that is drawn without end.
      stands_in_for: the set of the paper that it replaces where that can't be had; "" for none.
    """

    name: str
    title: str
    pixel_range: tuple[float, float]
    load: Callable[[Place], ArrayDataset] | None = None
    stands_in_for: str = ""


def default_data_dir(data_dir: str | os.PathLike | None = None) -> Path:
    """TFDS's rule: the argument, else ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``."""
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(chosen).expanduser()
