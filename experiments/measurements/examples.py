"""Group ``examples``: images of Shapeset at two resolutions, and of other sets (Fig. 1)."""

from collections.abc import Sequence

import jax
import numpy as np
import xarray as xr
from ml_collections import ConfigDict

from experiments.results.schema import labelled
from glorot_jax.data import shapeset
from glorot_jax.data.stream import Batch, Task, images

SIZES = (32, 64)


def measure(config: ConfigDict, others: Sequence[Task], *, key: jax.Array) -> xr.Dataset:
    """``config.examples.count`` images of each kind, classes in turn.

    Kinds: Shapeset at 32x32 and 64x64, and the test set of each of ``others``, in [0, 1].
    """
    count = config.examples.count
    variables = {}
    for size in SIZES:
        drawn = shapeset.sample(key, 100 * count, size=size, pixel_range=tuple(config.pixel_range))
        batch = _every_class(drawn, count)
        # Shapeset stores images column by column, as the authors' arrays do.
        pixels = np.asarray(batch.x).reshape(-1, size, size).swapaxes(1, 2)
        dims: tuple[str, ...] = ("example", f"row_{size}", f"column_{size}")
        variables[f"image_{size}"] = labelled(f"image_{size}", dims, pixels)
        variables[f"label_{size}"] = labelled(f"label_{size}", ("example",), np.asarray(batch.y))
    class_names = {"class_name": ("class", list(shapeset.CLASS_NAMES))}
    for task in others:
        batch, name = _every_class(task.test, count), task.name
        black, white = task.pixel_range
        pixels = (np.asarray(images(task, batch.x)) - black) / (white - black)
        dims = tuple(f"{dim}_{name}" for dim in ("example", "row", "column", "channel"))
        if pixels.shape[-1] == 1:
            pixels, dims = pixels[..., 0], dims[:-1]
        variables[f"image_{name}"] = labelled(f"image_{name}", dims, pixels.astype(np.float32))
        variables[f"label_{name}"] = labelled(f"label_{name}", dims[:1], np.asarray(batch.y))
        class_names[f"class_name_{name}"] = (f"class_{name}", list(task.class_names))
    return xr.Dataset(variables, class_names)


def _every_class(drawn: Batch, count: int) -> Batch:
    """``count`` examples that go through the classes in order, as far as ``drawn`` has them."""
    labels = np.asarray(drawn.y)
    # Rank within the own class first, class second: one of each, then a second of each, ...
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        of_class = labels == label
        rank[of_class] = np.arange(of_class.sum())
    rows = np.lexsort((labels, rank))[:count]
    return Batch(drawn.x[rows], drawn.y[rows])
