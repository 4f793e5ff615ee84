"""The spread over seeds against the chi-square law and against linear networks."""

import itertools

import numpy as np
import pytest

from glorot_jax.theory.spread import spread_over_seeds, weight_gradient_spread


def test_one_example_and_gaussian_weights_is_a_product_of_chi_squares():
    widths = [10, 20, 5]
    found = spread_over_seeds(np.ones((1, 7)), widths, excess_kurtosis=0.0)
    # Given the layer below, n times the mean square is a chi-square variable of n degrees.
    expected = np.sqrt(np.cumprod(1 + 2 / np.array(widths)) - 1)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("law", ["uniform", "normal", "signs"])
def test_linear_networks_spread_as_predicted(law):
    rng = np.random.default_rng(0)
    seeds, sizes = 4000, (6, 8, 5, 9)
    draw, kurtosis = {
        "uniform": (lambda shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape), -1.2),
        "normal": (rng.standard_normal, 0.0),
        "signs": (lambda shape: rng.choice([-1.0, 1.0], shape), -2.0),
    }[law]
    # A few examples with a common part, some inputs larger than others.
    x = (rng.normal(size=(4, sizes[0])) + 1) * np.linspace(0.3, 2, sizes[0])
    z, seen = np.broadcast_to(x, (seeds, *x.shape)), []
    for n_in, n_out in itertools.pairwise(sizes):
        z = z @ draw((seeds, n_in, n_out)) / np.sqrt(n_in)
        square = np.mean(z**2, axis=(1, 2))
        relative = (square / (x**2).mean() - 1) ** 2
        seen.append((relative.mean(), relative.std() / np.sqrt(seeds)))
    variance, error = np.array(seen).T
    assert (error < 0.2 * variance).all(), "too few seeds to tell"
    predicted = spread_over_seeds(x, sizes[1:], excess_kurtosis=kurtosis) ** 2
    assert (np.abs(variance - predicted) < 4 * error).all(), (variance, predicted, error)


def test_weight_gradients_of_one_example_spread_as_two_independent_products():
    rng = np.random.default_rng(1)
    seeds, sizes = 20_000, (6, 8, 5, 9, 4)
    weights = [
        rng.standard_normal((seeds, *fan)) / np.sqrt(fan[0]) for fan in itertools.pairwise(sizes)
    ]
    z = [np.broadcast_to(rng.normal(size=(1, sizes[0])), (seeds, 1, sizes[0]))]
    for w in weights[:-1]:
        z.append(z[-1] @ w)
    output = rng.normal(size=(1, sizes[-1]))
    ds = [np.broadcast_to(output, (seeds, 1, sizes[-1]))]
    for w in weights[:0:-1]:
        ds.insert(0, ds[0] @ w.swapaxes(1, 2))
    square = np.stack(
        [
            np.mean(below**2, axis=(1, 2)) * np.mean(above**2, axis=(1, 2))
            for below, above in zip(z[:-1], ds[:-1], strict=True)
        ]
    )
    relative = (square / square.mean(axis=1, keepdims=True) - 1) ** 2
    variance, error = relative.mean(axis=1), relative.std(axis=1) / np.sqrt(seeds)
    assert (error < 0.1 * variance).all(), "too few seeds to tell"
    hidden = sizes[1:-1]
    up = spread_over_seeds(z[0][0], hidden, excess_kurtosis=0.0)
    down = spread_over_seeds(output, hidden[::-1], excess_kurtosis=0.0)[::-1]
    predicted = weight_gradient_spread(up, down) ** 2
    assert (np.abs(variance - predicted) < 4 * error).all(), (variance, predicted, error)
