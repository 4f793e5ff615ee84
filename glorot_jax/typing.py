"""Types that both wings use: what a model is made of, in the words that JAX has for it."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import jax

PyTree: TypeAlias = Any
"""Arrays in nested containers. JAX has no type for it."""

Params = TypeVar("Params")
"""Parameters: what comes out has the type of what went in."""

PRNGKey: TypeAlias = jax.Array
"""A key of ``jax.random.key``."""

ApplyFn: TypeAlias = Callable[[Params, Any], PyTree]
"""(params, x) to the outputs of n examples: an array [n, ..], or a pytree that a loss takes."""

InitFn: TypeAlias = Callable[[PRNGKey], Params]
"""A key to parameters."""

Loss: TypeAlias = Callable[[Any, Any], jax.Array]
"""(outputs, y) to one cost for each example, [n]."""
