"""Statistics of many layers at once: those of each alone, in the order of the layers."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glorot_jax.probes.layers import by_layer


@given(st.lists(st.sampled_from([(2, 3), (3, 2), (4, 1)]), min_size=1, max_size=6))
def test_each_layer_s_own_in_their_order(shapes):
    random = np.random.default_rng(0)
    layers = [(random.normal(size=shape), random.normal(size=shape)) for shape in shapes]
    found = by_layer(
        lambda s, z: {"sum": jnp.sum(s * z), "least": jnp.min(s, axis=None)[None]},
        [tuple(map(jnp.float32, layer)) for layer in layers],
    )
    np.testing.assert_allclose(found["sum"], [np.sum(s * z) for s, z in layers], rtol=1e-4)
    np.testing.assert_allclose(found["least"], [[np.min(s)] for s, _ in layers], rtol=1e-6)


def test_layers_of_one_shape_are_traced_once():
    statistics = chex.assert_max_traces(lambda z: {"mean": jnp.mean(z)}, n=2)
    by_layer(jax.jit(statistics), [(jnp.ones(5),)] * 7 + [(jnp.ones(6),)] * 7)
