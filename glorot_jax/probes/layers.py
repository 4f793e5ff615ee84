"""The same statistics of every layer, compiled once for all layers of one shape."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

T = TypeVar("T")  # an array or a tree of them


def by_layer(statistics: Callable[..., T], layers: Sequence[tuple[jax.Array, ...]]) -> T:
    """``statistics(*arrays)`` of the arrays of each layer; every value has the layer as first axis.

    >>> layers = [(jnp.ones(3),), (jnp.ones(2),), (jnp.zeros(3),)]
    >>> by_layer(jnp.mean, layers).tolist()
    [1.0, 1.0, 0.0]
    """
    places: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for place, arrays in enumerate(layers):
        places.setdefault(tuple(array.shape for array in arrays), []).append(place)
    found = []
    for alike in places.values():
        stacked = [jnp.stack(each) for each in zip(*(layers[i] for i in alike), strict=True)]
        found.append(jax.lax.map(lambda arrays: statistics(*arrays), tuple(stacked)))
    order = np.argsort(np.concatenate(list(places.values())))
    return jax.tree.map(lambda *of_shapes: jnp.concatenate(of_shapes)[order], *found)
