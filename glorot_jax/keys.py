"""Random keys for a purpose, by the purpose's name."""

import hashlib

import jax
import numpy as np


def named(key: jax.Array, name: str, *numbers: jax.Array | int) -> jax.Array:
    """The key for what ``name`` says, of which ``numbers`` count the instances.

    A name's key depends on nothing but ``key`` and the name: another purpose more or less changes
    no key. The name counts by its BLAKE2s hash of 32 bits. A number is a seed, a layer or the like,
    and may be traced.

    >>> key = jax.random.key(0)
    >>> held_out = named(key, "held out")
    >>> of_seed_3 = named(key, "weights", 3)

    Args:
      key: a typed key, a scalar.
      name: the purpose.
      numbers: integers of at least 0, each folded in after the other.

    Returns:
      A typed key, a scalar.
    """
    key = jax.random.fold_in(key, _hash(name))
    for number in numbers:
        key = jax.random.fold_in(key, number)
    return key


def generator(key: jax.Array, *numbers: int) -> np.random.Generator:
    """NumPy's random numbers for a typed key, and for each of the ``numbers`` others.

    >>> key = jax.random.key(0)
    >>> generator(key, 1).integers(10) == generator(key, 1).integers(10)
    np.True_
    """
    return np.random.default_rng([*np.ravel(jax.random.key_data(key)).tolist(), *numbers])


def _hash(name: str) -> int:
    """32 bits of ``name``, the same in every process (Python's own ``hash`` is not)."""
    return int.from_bytes(hashlib.blake2s(name.encode(), digest_size=4).digest(), "big")
