"""Networks at initialisation beside what theory says of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from threadpoolctl import threadpool_limits

from experiments.measurements import initial, predicted
from glorot_jax import initializers, probes
from glorot_jax.activations import resolve
from glorot_jax.network import MLP, init, kernels, signals
from glorot_jax.theory import meanfield

STARTS = ("standard", "normalized", "orthogonal", "pytorch")
MEASURED = (
    *("activation_std", "activation_mean_square", "activation_histogram", "backprop_mean_square"),
    *("backprop_histogram", "weight_gradient_std", "weight_gradient_mean_square"),
    *("weight_gradient_histogram",),
)


def _measured(**changed):
    settings = ConfigDict(
        {
            "activations": ("tanh",),
            "initializers": STARTS,
            "seeds": 4,
            "depth": 3,
            "width": 100,
            "examples": 20,
            "jacobian_examples": 2,
            "mean_examples": 5,
            "bins": 40,
            **changed,
        }
    )
    key = jax.random.key(0)
    examples = initial.monitored(settings, None, key, (-1.0, 1.0))
    # As in a run: LAPACK's own threads would make its decompositions many times slower.
    with threadpool_limits(limits=1, user_api="blas"):
        return initial.measure(settings, examples, key=key, tick=lambda: None)


@pytest.fixture(scope="module")
def part():
    return _measured()


def _of(part, name, start):
    return part[name].values[STARTS.index(start)]


def test_every_variable_says_what_it_is(part):
    for name, variable in part.data_vars.items():
        assert set(variable.attrs) == {"long_name", "units"}, name
        assert variable.dims[0] == "condition", name
    assert "mean field" in part["meanfield_backprop_histogram"].attrs["long_name"]


def test_a_prediction_is_shaped_as_what_is_measured_without_seeds(part):
    for name in MEASURED:
        dims = tuple(d for d in part[name].dims if d != "seed")
        assert part[f"meanfield_{name}"].dims == dims


@pytest.mark.parametrize("unit", ["tanh", "sigmoid"])
def test_the_mean_singular_value_is_that_of_all_singular_values(unit):
    model = MLP((90, 60, 60), 4, resolve(unit), initializers.normalized())
    x = jax.random.normal(jax.random.key(1), (120, 70))  # of 12 the mean strays by 1%
    nets = [init(model, jax.random.key(seed), 70) for seed in range(2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)
    own = jnp.stack([x, 2 * x])
    seen = initial.mean_singular_values(model, stacked, own, np.random.default_rng(3))
    for net, params in enumerate(nets):
        flow = signals(model, params, own[net])
        for layer, (kernel, s) in enumerate(zip(kernels(params)[:-1], flow.s[:-1], strict=True)):
            slopes = np.asarray(jax.vmap(jax.vmap(jax.grad(resolve(unit))))(s), np.float64)
            exact = [np.linalg.svd(np.asarray(kernel) * row, compute_uv=False) for row in slopes]
            np.testing.assert_allclose(seen[net, layer], np.mean(exact), rtol=0.01)


def test_all_singular_values_are_those_of_the_probe():
    model = MLP((30, 20, 20), 4, resolve("tanh"), initializers.normalized())
    x = jax.random.normal(jax.random.key(1), (3, 15))
    nets = [init(model, jax.random.key(seed), 15) for seed in range(2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)
    seen = initial.singular_values(model, stacked, x)
    expected = jax.vmap(lambda params: probes.singular_values(model, params, x))(stacked)
    assert seen.shape == (2, 3, 3, 20)
    assert np.isnan(seen[:, 0, :, 15:]).all()
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-5)


def test_each_seed_has_examples_of_its_own():
    settings = ConfigDict({"mean_examples": 2, "seeds": 2, "initializers": ("a", "b", "c")})
    x = jnp.arange(3.0)[:, None]
    own = initial._own_examples(settings, x)
    np.testing.assert_array_equal(own[..., 0], [[0, 1], [2, 0]] * 3)


@pytest.mark.parametrize("start", ["standard", "normalized", "orthogonal"])
def test_networks_are_as_predicted(part, start):
    """To the finite width and the few seeds: 4 nets of 100 units stray by about 10%."""
    for name in ("activation_mean_square", "backprop_mean_square", "weight_gradient_mean_square"):
        ratio = _of(part, name, start).mean(axis=0) / _of(part, f"meanfield_{name}", start)
        assert (np.abs(ratio - 1) < 0.35).all(), (name, ratio)
    seen = _of(part, "singular_value_mean", start).mean(axis=0)
    expected = _of(part, "meanfield_singular_value_mean", start)
    first = 1 if start == "orthogonal" else 0  # 1024 x 100 isn't square
    assert np.isnan(expected[:first]).all()
    np.testing.assert_allclose(seen[first:], expected[first:], rtol=0.03)
    for name in ("activation", "backprop", "weight_gradient"):
        shares = _of(part, f"meanfield_{name}_histogram", start)
        known = shares[:-1] if name == "backprop" else shares
        np.testing.assert_allclose(known.sum(axis=1), 1, rtol=1e-5)
    assert np.isnan(_of(part, "meanfield_backprop_histogram", start)[-1]).all()


def test_histograms_are_in_the_measured_bins(part):
    """The greatest distance of two distribution functions; a bin too far would show as 10%."""
    for name in ("activation", "backprop", "weight_gradient"):
        layers = slice(None, -1 if name == "backprop" else None)
        seen = _of(part, f"{name}_histogram", "normalized").mean(axis=0)[layers]
        expected = _of(part, f"meanfield_{name}_histogram", "normalized")[layers]
        assert np.abs(np.cumsum(seen - expected, axis=1)).max() < 0.05, name


def test_the_density_is_that_of_square_layers(part):
    for start in ("standard", "normalized"):
        at = _of(part, "meanfield_singular_value", start)
        density = _of(part, "meanfield_singular_value_density", start)
        seen = _of(part, "singular_value", start)[:, 1:]
        mean = np.sum(at * density) / np.sum(density)
        assert mean == pytest.approx(seen.mean(), rel=0.03)
        assert at[-1] == pytest.approx(1.05 * seen.max(), rel=0.2)


def test_a_start_that_does_more_than_draw_weights_has_no_prediction(part):
    assert {"lsuv", "pytorch"} == predicted.BEYOND_MEAN_FIELD
    for name in part.data_vars:
        if name.startswith("meanfield_"):
            assert np.isnan(_of(part, name, "pytorch")).all(), name


def test_only_the_papers_uniform_weights_have_a_spread(part):
    for name in ("activation", "backprop", "weight_gradient"):
        spread = part[f"predicted_{name}_spread"].values
        known = np.isfinite(spread).all(axis=1)
        assert known.tolist() == [start in predicted.UNIFORM for start in STARTS]
        assert (spread[known] > 0).all()


def test_predictions_are_made_example_by_example(part):
    """One variance for all would overrate a layer that bends."""
    batch = initial.monitored(
        ConfigDict({"examples": 20}), None, jax.random.key(0), (-1.0, 1.0)
    ).batch
    variance = _of(part, "weight_variance", "normalized")[:, 0].mean()
    q = 1024 * variance * jnp.mean(jnp.square(batch.x), axis=1)
    each = meanfield.expectation(lambda s: jnp.square(jnp.tanh(s)), q)
    found = _of(part, "meanfield_activation_mean_square", "normalized")[0]
    assert found == pytest.approx(float(each.mean()), rel=1e-4)
    of_the_mean = meanfield.expectation(lambda s: jnp.square(jnp.tanh(s)), q.mean())
    assert float(of_the_mean) > 1.02 * found


def test_one_hidden_layer():
    part = _measured(depth=1, initializers=("standard",), width=30)
    assert np.isfinite(part["meanfield_singular_value_mean"]).all()
    assert np.isnan(part["meanfield_singular_value_density"]).all()
    assert np.isnan(part["predicted_singular_value_mean"]).all()


def test_the_gradient_of_a_large_batch_is_not_predicted(monkeypatch):
    monkeypatch.setattr(predicted, "MOST_PAIRED", 10)
    part = _measured(initializers=("standard",), width=20, depth=2)
    unknown = {
        name
        for name, variable in part.data_vars.items()
        if name.startswith("meanfield_") and np.isnan(variable).all()
    }
    assert unknown == {"meanfield_weight_gradient_std", "meanfield_weight_gradient_histogram"}


def nowhere(s):
    """An activation whose values are soon infinite."""
    return jnp.exp(40 * jnp.abs(s)) - 1


def test_an_activation_that_leaves_the_finite_numbers_is_measured_all_the_same(monkeypatch):
    monkeypatch.setattr(initial, "resolve", lambda name: nowhere)
    monkeypatch.setattr(predicted, "resolve", lambda name: nowhere)
    part = _measured(activations=("nowhere",), initializers=("normalized",), width=20)
    assert np.isnan(part["meanfield_backprop_mean_square"]).all()
