"""What makes the outputs, however it is written."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from glorot_jax.diagnosis import trace
from glorot_jax.diagnosis.tracing.landmarks import output_functions

W, X = jnp.ones((3, 2)), jnp.ones((4, 3))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (jax.nn.relu, "relu"),
        (nn.relu, "relu"),
        (lambda s: jnp.maximum(s, 0), "relu"),
        (jax.vmap(jax.nn.relu), "relu"),
        (lambda s: jax.jit(jax.nn.relu)(s)[:, None], "relu"),
        (jnp.tanh, "tanh"),
        (jax.nn.sigmoid, "logistic"),
        (jax.nn.softmax, "div"),
        (lambda s: s, "dot_general"),
    ],
)
def test_the_last_function_is_named(function, name):
    traced = trace(lambda w, x: function(x @ w), W, X)
    assert output_functions(traced.block.closed) == [name]
