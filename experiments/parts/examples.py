"""Part ``examples``: Shapeset images at two resolutions (Fig. 1)."""

import jax
import numpy as np
import xarray as xr
from ml_collections import ConfigDict

from glorot_jax.data import shapeset
from glorot_jax.results import labelled

SIZES = (32, 64)


def measure(config: ConfigDict, *, key: jax.Array) -> xr.Dataset:
    """``config.examples.count`` images at 32x32 and as many at 64x64, classes in turn."""
    variables = {}
    for size in SIZES:
        batch = _every_class(key, config.examples.count, size, config.pixel_range)
        # Shapeset stores images column by column, as the authors' arrays do.
        images = np.asarray(batch.x).reshape(-1, size, size).swapaxes(1, 2)
        dims = ("example", f"row_{size}", f"column_{size}")
        variables[f"image_{size}"] = labelled(f"image_{size}", dims, images)
        variables[f"label_{size}"] = labelled(f"label_{size}", ("example",), np.asarray(batch.y))
    return xr.Dataset(variables, {"class_name": ("class", list(shapeset.CLASS_NAMES))})


def _every_class(key: jax.Array, count: int, size: int, pixel_range: tuple) -> shapeset.Batch:
    """``count`` examples that go through the classes in order, as far as a large draw has them."""
    drawn = shapeset.sample(key, 100 * count, size=size, pixel_range=tuple(pixel_range))
    labels = np.asarray(drawn.y)
    # Rank within the own class first, class second: one of each, then a second of each, ...
    rank = np.array([np.sum(labels[:row] == label) for row, label in enumerate(labels)])
    rows = np.lexsort((labels, rank))[:count]
    return shapeset.Batch(drawn.x[rows], drawn.y[rows])
