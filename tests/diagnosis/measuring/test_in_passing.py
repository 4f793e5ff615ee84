"""Sites reduced inside their loops: the same numbers, and no stack of signals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import glorot_jax as gj
from glorot_jax.diagnosis import site_statistics
from glorot_jax.diagnosis.measuring.in_passing import loops, statistics_in_passing
from glorot_jax.diagnosis.measuring.watching import statistics_of_update
from glorot_jax.diagnosis.tracing.stations import find_landmarks
from glorot_jax.losses import cross_entropy
from tests.diagnosis.models import labels, traced

# Loops over layers and over time, in one another, with branches, without a gradient; and none.
NAMES = (
    "scanned_remat",
    "recurrent",
    "nested_scans",
    "cond_in_scan",
    "while_loop",
    "linen_scan_of_remat",
    "custom_vjp",
    "embedding",
)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_site_statistics_finds(name):
    model, found = traced(name)
    expected = jax.jit(lambda p: site_statistics(found, p, model.x, labels()))(model.params)
    landmarks = find_landmarks(found.block, len(jax.tree.leaves(model.params)), found.n)

    def measure(params):
        return statistics_in_passing(
            found, landmarks.block, params, model.x, labels(), loss=cross_entropy
        )

    passed = jax.jit(measure)(model.params)
    assert passed.rows.keys() == expected.keys()
    for statistic, values in expected.items():
        np.testing.assert_allclose(
            passed.rows[statistic], values, rtol=1e-4, atol=1e-6, err_msg=statistic
        )
    costs = cross_entropy(model.apply(model.params, model.x), labels())
    np.testing.assert_allclose(passed.costs, costs, rtol=1e-5)
    assert loops(found.sites) == (name not in ("custom_vjp", "embedding"))


LAYERS, EXAMPLES, STREAM, HIDDEN = 24, 10, 7, 33


def _residual(params, x):
    def block(h, layer):
        return h + jnp.tanh(h @ layer["up"]) @ layer["down"], None

    h, _ = jax.lax.scan(block, x, params["blocks"])
    return h @ params["out"]


def _normal(seed, *shape):
    return jnp.asarray(0.3 * np.random.default_rng(seed).normal(size=shape), jnp.float32)


_PARAMS = {
    "blocks": {
        "up": _normal(0, LAYERS, STREAM, HIDDEN),
        "down": _normal(1, LAYERS, HIDDEN, STREAM),
    },
    "out": _normal(2, STREAM, 3),
}
_X = _normal(3, EXAMPLES, STREAM)
_Y = jnp.zeros(EXAMPLES, jnp.int32)


def _shapes(jaxpr):
    """Of every value in a program, those inside its loops and functions too."""
    for eqn in jaxpr.eqns:
        yield from (out.aval.shape for out in eqn.outvars)
        for value in eqn.params.values():
            for one in value if isinstance(value, tuple | list) else [value]:
                inner = getattr(one, "jaxpr", one)
                if hasattr(inner, "eqns"):
                    yield from _shapes(inner)


def test_only_what_passes_from_layer_to_layer_is_there_for_all_layers():
    found = gj.trace(_residual, _PARAMS, _X)
    landmarks = find_landmarks(found.block, 3, found.n)

    def watched(params, x):
        measured = statistics_of_update(found, landmarks, params, {}, x, _Y, loss=cross_entropy)
        return measured

    def alone(params, x):
        return site_statistics(found, params, x, _Y)

    stack = (LAYERS, EXAMPLES, HIDDEN)
    assert stack in set(_shapes(jax.make_jaxpr(alone)(_PARAMS, _X).jaxpr))
    stacked = {
        shape
        for shape in _shapes(jax.make_jaxpr(watched)(_PARAMS, _X).jaxpr)
        if shape[:1] == (LAYERS,) and EXAMPLES in shape
    }
    assert stacked == {(LAYERS, EXAMPLES, STREAM)}


def test_the_memory_is_that_of_a_few_layers():
    many = 16
    params = {
        **_PARAMS,
        "blocks": jax.tree.map(lambda a: jnp.tile(a, (many, 1, 1)), _PARAMS["blocks"]),
    }
    watch = gj.watch(_residual, every=1)

    def watched(params, x):
        return watch(watch.init(params), params, params, (x, _Y))[1]

    def monitored(params, x):
        return gj.monitor(_residual, params, x, _Y)

    taken = [
        jax.jit(measure).lower(params, _X).compile().memory_analysis().temp_size_in_bytes
        for measure in (watched, monitored)
    ]
    floats = many * LAYERS * EXAMPLES
    # The stream for the way back, and all values of the parameters in the update's size.
    kept = 4 * (floats * STREAM + 2 * many * LAYERS * STREAM * HIDDEN)
    assert taken[0] < 1.5 * kept + 4 * floats * HIDDEN
    assert taken[1] > 4 * 3 * floats * HIDDEN
