"""The predictions of the linear regime: closed forms, and linear networks that were measured."""

import itertools
from functools import partial

import jax
import numpy as np
import pytest

from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP
from glorot_jax.probes import activation_statistics, gradient_statistics
from glorot_jax.theory import predict, quarter_circle_mean

SEEDS, EXAMPLES = 60, 60


@pytest.mark.parametrize("n_var", [1 / 3, 1.0])
def test_equal_widths_are_equations_13_and_14(n_var):
    n, depth, x, g = 50, 4, 0.7, 0.02
    found = predict(
        [n] * (depth + 2),
        [n_var / n] * (depth + 1),
        input_variance=x,
        output_gradient_variance=g,
    )
    layers = np.arange(1, depth + 1)
    np.testing.assert_allclose(found.activation, x * n_var**layers)
    # Eq. 13, counted from the logits above the last hidden layer.
    np.testing.assert_allclose(found.backprop, g * n_var ** (depth + 1 - layers))
    # Eq. 14: the same for every layer.
    np.testing.assert_allclose(found.weight_gradient, np.full(depth, x * g * n_var**depth))


def test_unequal_widths_by_hand():
    found = predict([2, 3, 5, 7], [0.1, 0.2, 0.3], input_variance=11, output_gradient_variance=13)
    np.testing.assert_allclose(found.activation, [11 * 0.2, 11 * 0.2 * 0.6])
    np.testing.assert_allclose(found.backprop, [13 * 2.1 * 1.0, 13 * 2.1])
    np.testing.assert_allclose(found.weight_gradient, [11 * 27.3, 2.2 * 27.3])


@pytest.mark.parametrize("variances", [[0.1, 0.2], [0.1] * 4], ids=len)
def test_one_weight_variance_per_layer(variances):
    with pytest.raises(ValueError, match=rf"^weight_variances: {len(variances)} given, 3 layers"):
        predict([2, 3, 5, 7], variances, input_variance=1, output_gradient_variance=1)


def _measured(sizes, bounds):
    """Mean squares of z, dC/ds, dC/dw [seed, layer] and of the logits' dC/ds [seed], eqs. 5-7."""
    rng = np.random.default_rng(0)
    names = [*(f"hidden_{layer:02d}" for layer in range(1, len(sizes) - 1)), "output"]
    params = {
        name: {
            "kernel": rng.uniform(-b, b, (SEEDS, *shape)).astype(np.float32),
            "bias": np.zeros((SEEDS, shape[1]), np.float32),
        }
        for name, b, shape in zip(names, bounds, itertools.pairwise(sizes), strict=True)
    }
    # Examples of their own for every seed, with a mean that is not 0.
    batches = Batch(
        rng.uniform(-0.5, 1.5, (SEEDS, EXAMPLES, sizes[0])).astype(np.float32),
        rng.integers(sizes[-1], size=(SEEDS, EXAMPLES), dtype=np.int32),
    )
    model = MLP(tuple(sizes[1:-1]), sizes[-1], lambda s: s)

    def measure(seed):
        return (
            activation_statistics(model, *seed, bins=2)["mean_square"],
            gradient_statistics(model, *seed, bins=2),
        )

    activation, gradient = jax.jit(partial(jax.lax.map, measure))((params, batches))
    return (
        np.asarray(activation),
        np.asarray(gradient["backprop"]["mean_square"]),
        np.asarray(gradient["weight_gradient"]["mean_square"]),
        np.asarray(gradient["backprop"]["output_mean_square"])[:, 0],
        float((batches.x.astype(float) ** 2).mean()),
    )


@pytest.mark.parametrize("n_var", [1 / 3, 1.0], ids=["standard", "normalized"])
@pytest.mark.parametrize(
    "sizes", [[100, 100, 100, 100, 10], [60, 150, 80, 120, 10]], ids=["equal", "unequal"]
)
def test_a_linear_network_follows_equations_5_to_7(sizes, n_var):
    fans = list(itertools.pairwise(sizes))
    variances = [n_var / n_in if n_var < 1 else 2 / (n_in + n_out) for n_in, n_out in fans]
    *measured, output, x_square = _measured(sizes, np.sqrt(3 * np.array(variances)))
    predicted = predict(
        sizes, variances, input_variance=x_square, output_gradient_variance=output.mean()
    )
    for name, seen, expected in zip(predicted._fields, measured, predicted, strict=True):
        error = seen.std(axis=0, ddof=1) / np.sqrt(SEEDS) / seen.mean(axis=0)
        assert error.max() < 0.02, f"{name}: too few seeds to tell"
        np.testing.assert_allclose(seen.mean(axis=0), expected, rtol=0.05, err_msg=name)


def test_its_mean_is_the_first_moment_of_the_quarter_circle():
    x = np.linspace(0, 2, 200_001)
    density = np.sqrt(4 - x**2) / np.pi
    moment = np.sum((x * density)[1:] + (x * density)[:-1]) / 2 * (x[1] - x[0])
    assert quarter_circle_mean(1) == pytest.approx(moment, rel=1e-6)
    assert quarter_circle_mean(1 / 3) == pytest.approx(moment / np.sqrt(3), rel=1e-6)
