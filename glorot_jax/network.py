"""The paper's network: a multi-layer perceptron whose every signal can be seen."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, TypeAlias, cast

import jax
from flax import linen as nn

from glorot_jax.activations import Activation, tanh
from glorot_jax.initializers import Initializer, normalized

Params: TypeAlias = dict[str, dict[str, jax.Array]]
"""``hidden_01 .. output``, each with ``kernel`` [n_in, n_out] and ``bias`` [n_out]."""


class Signals(NamedTuple):
    """What flows through an MLP of ``depth`` hidden layers, in the notation of the paper.

    ``z``: depth + 1 arrays, z[0] = x, and z[i], shaped [n, units], the output of hidden
    layer i. ``s``: depth + 1 arrays, s[i] = z[i] W[i] + b[i]; the last is the logits.
    """

    s: tuple[jax.Array, ...]
    z: tuple[jax.Array, ...]

    @property
    def logits(self) -> jax.Array:
        return self.s[-1]


class MLP(nn.Module):
    """d hidden layers and a linear layer to the logits of a softmax (section 2.3); biases 0.

    ``init(key, x)`` and ``apply(variables, x)`` map x [n, inputs] to logits [n, classes];
    ``signals`` is the same pass with every pre-activation and activation returned.
    Parameters are named ``hidden_01 .. hidden_<d>, output``, each with ``kernel`` and ``bias``.
    ``kernel_init`` draws the output layer too, as the authors' later code does.
    """

    widths: Sequence[int]
    classes: int
    activation: Activation = tanh
    kernel_init: Initializer = normalized()

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.signals(x).logits

    @nn.compact
    def signals(self, x: jax.Array, offsets: Sequence[jax.Array] | None = None) -> Signals:
        """One forward pass; ``offsets[i]``, shaped like s[i], is added to s[i] where given.

        The gradient of a cost with respect to zero offsets is the back-propagated gradient dC/ds.
        """
        s: list[jax.Array] = []
        z = [x]
        for layer, name in enumerate(layer_names(len(self.widths))):
            hidden = layer < len(self.widths)
            features = self.widths[layer] if hidden else self.classes
            s_layer = nn.Dense(features, kernel_init=self.kernel_init, name=name)(z[-1])
            if offsets is not None:
                s_layer = s_layer + offsets[layer]
            s.append(s_layer)
            if hidden:
                z.append(self.activation(s_layer))
        return Signals(tuple(s), tuple(z))


def layer_names(depth: int) -> tuple[str, ...]:
    """Parameter names of the ``depth`` hidden layers and the output, from the input upwards."""
    return (*(f"hidden_{layer:02d}" for layer in range(1, depth + 1)), "output")


def init(model: MLP, key: jax.Array, inputs: int) -> Params:
    """Fresh parameters of ``model`` for examples of ``inputs`` values.

    One program serves every activation, because it has no part in drawing weights.
    """
    return _init(model.clone(widths=tuple(model.widths), activation=tanh), key, inputs)


# An eager init could alias arrays that are donated later; a jitted one does not.
@partial(jax.jit, static_argnums=(0, 2))
def _init(model: MLP, key: jax.Array, inputs: int) -> Params:
    return model.init(key, jax.numpy.zeros((1, inputs)))["params"]


def logits(model: MLP, params: Params, x: jax.Array) -> jax.Array:
    """Logits [n, classes] of x [n, inputs]."""
    return cast(jax.Array, model.apply({"params": params}, x))


def signals(
    model: MLP, params: Params, x: jax.Array, offsets: Sequence[jax.Array] | None = None
) -> Signals:
    """Every s and z of one forward pass of x [n, inputs]; see ``MLP.signals``."""
    return cast(Signals, model.apply({"params": params}, x, offsets, method="signals"))


def kernels(params: Params) -> list[jax.Array]:
    """The weight matrices W^0 .. W^d from the input upwards, each [n_in, n_out]."""
    return [params[name]["kernel"] for name in layer_names(len(params) - 1)]
