"""Convolutions with their axes in the standard order: the same numbers, and no other order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.diagnosis.tracing.convolutions import in_standard_layout

LAYOUTS = [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("CHWN", "IHWO", "HWNC")]


def _specs(function, *args):
    """Of each convolution in the function, where its axes lie."""
    eqns = jax.make_jaxpr(function)(*args).eqns
    found = [eqn for eqn in eqns if eqn.primitive.name == "conv_general_dilated"]
    return [tuple(eqn.params["dimension_numbers"]) for eqn in found]


def _arrays(layout, groups):
    rng = np.random.default_rng(0)
    sizes = {"N": 3, "H": 7, "W": 6, "C": 4}, {"H": 3, "W": 2, "I": 4 // groups, "O": 8}
    shapes = [[sizes[i][axis] for axis in layout[i]] for i in (0, 1)]
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "how",
    [
        {"padding": "SAME"},
        {"padding": "VALID", "window_strides": (2, 1)},
        {"padding": [(1, 0), (0, 2)], "rhs_dilation": (2, 1)},
        {"padding": "SAME", "feature_group_count": 2},
    ],
)
def test_values_and_both_gradients_are_the_same(layout, how):
    z, kernel = _arrays(layout, how.get("feature_group_count", 1))
    options = {"window_strides": (1, 1), **how}

    def convolve(z, kernel):
        return jax.lax.conv_general_dilated(z, kernel, dimension_numbers=layout, **options)

    def gradients(z, kernel, ds):
        return jax.vjp(convolve, z, kernel)[1](ds)

    ds = jnp.cos(jnp.arange(convolve(z, kernel).size, dtype=jnp.float32))
    ds = ds.reshape(convolve(z, kernel).shape)
    for function, args in ((convolve, (z, kernel)), (gradients, (z, kernel, ds))):
        same = in_standard_layout(function)
        for found, wanted in zip(
            jax.tree.leaves(same(*args)), jax.tree.leaves(function(*args)), strict=True
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
        standard = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
        assert set(_specs(same, *args)) == {standard}


def test_what_is_no_convolution_stays():
    def function(tree, x):
        return {"sum": tree["a"] + x, "x": x}

    given = {"a": jnp.ones(3)}, jnp.arange(3.0)
    made, wanted = in_standard_layout(function)(*given), function(*given)
    assert jax.tree.structure(made) == jax.tree.structure(wanted)
    np.testing.assert_array_equal(made["sum"], wanted["sum"])


def test_in_a_map_and_in_one_dimension():
    z, kernel = jnp.ones((5, 2, 9, 3)), jnp.ones((4, 3, 2))

    def one(z):
        return jax.lax.conv_general_dilated(
            z, kernel, (1,), "SAME", dimension_numbers=("NHC", "HIO", "NHC")
        )

    found = jax.vmap(in_standard_layout(one))(z)
    np.testing.assert_allclose(found, jax.vmap(one)(z), rtol=1e-5)
