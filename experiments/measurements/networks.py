"""Networks as they start, for every part that measures or trains them."""

import jax

from glorot_jax.initialization import Start, start
from glorot_jax.network import MLP, Params

DATA_DEPENDENT = ("lsuv",)
START_EXAMPLES = 300  # that a data-dependent start sees


def draw(initializer: str, model: MLP, key: jax.Array, x: jax.Array) -> Params:
    """Parameters of ``model`` as ``initializer`` starts them; x [n, inputs], training examples."""
    if initializer not in DATA_DEPENDENT:
        # Only the number of inputs counts then, and not the activation: fewer programs to compile.
        model, x = MLP(tuple(model.widths), model.classes), x[:1]
    return _jitted(start(initializer), model, key, x)


def _draw(begin: Start, model: MLP, key: jax.Array, x: jax.Array) -> Params:
    return begin(model, key, x)


# An eager draw could alias arrays that are donated later; a jitted one does not.
_jitted = jax.jit(_draw, static_argnums=(0, 1))
