"""Models for the command to diagnose: a healthy one, a sick one, and what is no model."""

import jax
import jax.numpy as jnp
import numpy as np

import glorot_jax as gj

N, WIDTH = 20, 30


def _apply(params, x):
    for kernel in params:
        x = jnp.tanh(x @ kernel)
    return x


def _init(scale):
    def init(key):
        keys = jax.random.split(key, 4)
        return [scale * jax.random.normal(k, (WIDTH, WIDTH)) / WIDTH**0.5 for k in keys]

    return init


def _model(scale):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(N, WIDTH)).astype(np.float32))
    return gj.Model(_apply, _init(scale), x, jnp.asarray(rng.integers(WIDTH, size=N)))


def healthy():
    return _model(1.0)


def sick():
    return _model(0.01)


def deliberate():
    return sick()._replace(ignore=("vanishing forward",))


def warned():
    """The outputs are far too large: it trains, more slowly."""
    model = _model(1.0)
    return model._replace(apply_fn=lambda params, x: 24 * _apply(params, x))


def of_integers():
    return healthy()._replace(apply_fn=lambda params, x: jnp.argmax(_apply(params, x), axis=1))


def failing():
    raise RuntimeError("no such checkpoint")


def nothing():
    return None
