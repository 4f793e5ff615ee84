"""How often a convolution sees each input, against its own derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.diagnosis import trace
from glorot_jax.diagnosis.measuring.gains import inputs_of_an_output

N, SIZE, CHANNELS, UNITS = 2, (7, 6), 4, 8
HOW = [
    {"padding": "SAME"},
    {"padding": "VALID", "window_strides": (2, 1)},
    {"padding": [(1, 0), (0, 2)], "rhs_dilation": (2, 1)},
    {"padding": [(2, 1), (1, 3)], "lhs_dilation": (2, 3), "window_strides": (1, 2)},
    {"padding": "SAME", "feature_group_count": 2, "window_strides": (3, 3)},
    {"padding": "SAME", "batch_group_count": 2},
    {"padding": [(-1, 0), (0, -2)]},
]


def _site(how, layout):
    """The site of a convolution that ``how`` and the ``layout`` of its axes describe."""
    groups = how.get("feature_group_count", 1)
    sizes = (
        {"N": N, "H": SIZE[0], "W": SIZE[1], "C": CHANNELS},
        {"H": 3, "W": 2, "I": CHANNELS // groups, "O": UNITS},
    )
    x, kernel = (
        jnp.ones([size[axis] for axis in axes]) for size, axes in zip(sizes, layout, strict=False)
    )

    def apply(kernel, x):
        options = {"window_strides": (1, 1), **how}
        x = jnp.concatenate([x] * how.get("batch_group_count", 1))  # it merges as many examples
        return jax.lax.conv_general_dilated(x, kernel, dimension_numbers=layout, **options)

    (site,) = trace(apply, kernel, x).sites
    return site


@pytest.mark.parametrize("layout", [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW")])
@pytest.mark.parametrize("how", HOW, ids=str)
def test_the_share_of_a_kernel_that_sees_an_input(how, layout):
    site = _site(how, layout)
    ones = [jnp.ones(shape.shape) for shape in (site.z, site.kernel)]
    s, backward = jax.vjp(site.contract, *ones)
    wanted = backward(jnp.ones_like(s))[0] / site.fan_out
    found = np.ones(())
    for axis, shares in enumerate(site.uses):
        along = [axis == other for other in range(len(site.uses))]
        found = found * (np.reshape(shares, np.where(along, wanted.shape, 1)) if shares else 1.0)
    np.testing.assert_allclose(np.broadcast_to(found, wanted.shape), wanted, rtol=1e-6)
    assert inputs_of_an_output(site) == pytest.approx(float(jnp.mean(s)), rel=1e-6)


def test_a_product_sees_every_input_alike():
    (site,) = trace(lambda w, x: x @ w, jnp.ones((3, 5)), jnp.ones((4, 3))).sites
    assert site.uses == ()
    assert inputs_of_an_output(site) == 3
    assert site.units == 5
