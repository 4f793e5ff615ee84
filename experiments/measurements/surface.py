"""Group ``surface``: both costs over two weights of a two-layer net (Fig. 5, section 4.1)."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ml_collections import ConfigDict

from experiments.results.schema import labelled
from glorot_jax.activations import tanh
from glorot_jax.data.stream import Batch
from glorot_jax.losses import LOSSES
from glorot_jax.network import MLP, Params, init

# On a plateau much is left to gain and the slope says little of it: a unit step of the weights down
# the slope would gain less than a tenth of the way to the surface's minimum. The slope is compared
# with what is left at the same point, not with the surface's range, which for cross-entropy is set
# by its steepest corner alone.
PLATEAU = 0.1


def measure(config: ConfigDict, *, key: jax.Array) -> xr.Dataset:
    """Cross-entropy and quadratic cost of ``nets`` random tanh nets with random data.

    A net is one scalar input, one tanh unit and a softmax over two classes; the two weights that
    vary are the first layer's only one and the output layer's first. Input is N(0, 1), the target a
    fair coin, ``examples`` of them. The plateau fraction is the share of grid points at which the
    gradient's norm, per unit of weight, is below 10% of the cost above the surface's minimum.
    """
    settings = config.surface
    axis = jnp.linspace(-settings.reach, settings.reach, settings.grid)
    model = MLP((1,), 2, tanh, jax.nn.initializers.normal(1.0))

    def one_net(key: jax.Array) -> dict[str, jax.Array]:
        x_key, y_key, params_key = jax.random.split(key, 3)
        batch = Batch(
            jax.random.normal(x_key, (settings.examples, 1)),
            jax.random.bernoulli(y_key, 0.5, (settings.examples,)).astype(jnp.int32),
        )
        params = init(model, params_key, 1)
        surfaces = {}
        for name, loss in LOSSES.items():

            def cost(first: jax.Array, second: jax.Array, loss=loss) -> jax.Array:
                logits = model.apply({"params": _set_weights(params, first, second)}, batch.x)
                return jnp.mean(loss(logits, batch.y))

            surface = _over_grid(cost, axis)
            slopes = _over_grid(jax.grad(cost, argnums=(0, 1)), axis)
            left_to_gain = surface - jnp.min(surface)
            surfaces[name] = surface
            surfaces[f"plateau_{name}"] = jnp.mean(jnp.hypot(*slopes) < PLATEAU * left_to_gain)
        return surfaces

    surfaces = jax.jit(jax.vmap(one_net))(jax.random.split(key, settings.nets))
    dims = ("seed", "first_weight", "second_weight")
    return xr.Dataset(
        {name: labelled(name, dims[: v.ndim], np.asarray(v)) for name, v in surfaces.items()},
        {"first_weight": np.asarray(axis), "second_weight": np.asarray(axis)},
        attrs={"plateau": PLATEAU},
    )


def _set_weights(params: Params, first: jax.Array, second: jax.Array) -> Params:
    output = params["output"]["kernel"].at[0, 0].set(second)
    return {
        "hidden_01": {**params["hidden_01"], "kernel": first.reshape(1, 1)},
        "output": {**params["output"], "kernel": output},
    }


def _over_grid(function, axis: jax.Array):
    return jax.vmap(lambda first: jax.vmap(lambda second: function(first, second))(axis))(axis)
