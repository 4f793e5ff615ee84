"""Predicted against measured signals of the paper's nets at initialisation, by layer.

    python -m benchmarks.theory_table --seeds 20

Prints the tables of docs/theory.md: 1024-5x1000-9 on Shapeset images, mean squares over units and
images (biases are 0 and the activations odd, so these are variances) averaged over seeds, and the
mean singular value of every layer's Jacobian at a few images.
"""

import argparse
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.activations import ACTIVATIONS, Activation
from glorot_jax.data import shapeset
from glorot_jax.data.stream import Batch
from glorot_jax.initializers import INITIALIZERS
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP, init
from glorot_jax.probes import gradients, layer_jacobians
from glorot_jax.theory import meanfield, spectrum

CLASSES = 9
QUANTITIES = ("Var[s]", "Var[z]", "Var[dC/ds]", "Var[dC/dw]")


def measure(model: MLP, batch: Batch, sigma_images: int, key: jax.Array):
    """One seed's mean squares [quantity, layer, image], the logits' [image] and its Jacobians."""
    params = init(model, key, batch.x.shape[1])
    found = gradients(model, params, batch, cross_entropy)
    mean_square = partial(jnp.mean, axis=1)
    s, z, ds = (
        jnp.stack([mean_square(jnp.square(layer)) for layer in layers])
        for layers in (found.flow.s[:-1], found.flow.z, found.ds)
    )
    jacobians = layer_jacobians(model, params, batch.x[:sigma_images])
    return jnp.stack([s, z[1:], ds[:-1], z[:-1] * ds[:-1]]), ds[-1], jacobians


def mean_singular_value(jacobian: jax.Array) -> float:
    """By the eigenvalues of J J^T in float64: a fifth of an SVD's time, 1e-8 of its mean."""
    j = np.asarray(jacobian, np.float64)
    gram = j.T @ j if j.shape[0] > j.shape[1] else j @ j.T
    return float(np.sqrt(np.clip(np.linalg.eigvalsh(gram), 0, None)).mean())


def compare(name: str, activation: Activation, initializer: str, options) -> None:
    """Prints the table of one condition."""
    data_key, key = jax.random.split(jax.random.key(options.key))
    batch = shapeset.sample(data_key, options.images)
    model = MLP((options.width,) * options.depth, CLASSES, activation, INITIALIZERS[initializer]())
    one_seed = jax.jit(partial(measure, model, batch, options.sigma_images))
    squares, outputs, sigmas = [], [], []
    for seed in range(options.seeds):
        square, output, jacobians = one_seed(jax.random.fold_in(key, seed))
        squares.append(np.asarray(square, np.float64).mean(axis=2))
        outputs.append(np.asarray(output))
        if seed < options.sigma_seeds:
            sigmas.append([np.mean([mean_singular_value(j) for j in layer]) for layer in jacobians])
    sizes = [batch.x.shape[1], *model.widths, CLASSES]
    uniform = [
        1 / (3 * n_in) if initializer == "standard" else 2 / (n_in + n_out)
        for n_in, n_out in itertools.pairwise(sizes)
    ]
    predicted = meanfield.predict_signals(
        activation,
        sizes,
        uniform,
        input_mean_squares=jnp.mean(jnp.square(batch.x), axis=1),
        output_gradient_mean_squares=np.mean(outputs, axis=0),
    )
    expected = np.stack(
        [
            np.mean(predicted.preactivation, axis=1),
            predicted.activation,
            predicted.backprop,
            predicted.weight_gradient,
        ]
    )
    measured = np.mean(squares, axis=0)
    error = np.std(squares, axis=0, ddof=1) / np.sqrt(options.seeds) / measured
    print(f"\n{name}, {initializer} initialisation\n")
    print("| layer | " + " | ".join(QUANTITIES) + " | mean singular value |")
    print("| --- |" + " --- |" * (len(QUANTITIES) + 1))
    for layer in range(options.depth):
        cells = [
            f"{measured[i, layer]:.3g} ({measured[i, layer] / expected[i, layer] - 1:+.1%} "
            f"± {error[i, layer]:.1%})"
            for i in range(len(QUANTITIES))
        ]
        theory = np.mean(
            [
                spectrum.mean_singular_value(
                    activation,
                    q,
                    sizes[layer] * uniform[layer],
                    aspect=sizes[layer + 1] / sizes[layer],
                )
                for q in predicted.preactivation[layer, : options.sigma_images]
            ]
        )
        seen = [seed[layer] for seed in sigmas]
        spread = np.std(seen, ddof=1) / np.sqrt(len(seen)) / np.mean(seen)
        cells.append(f"{np.mean(seen):.3f} ({np.mean(seen) / theory - 1:+.1%} ± {spread:.1%})")
        print(f"| {layer + 1} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--sigma-seeds", type=int, default=20, help="of them, with singular values")
    parser.add_argument("--sigma-images", type=int, default=1, help="images with singular values")
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--key", type=int, default=0)
    options = parser.parse_args()
    for name in ("tanh", "softsign"):
        for initializer in ("standard", "normalized"):
            compare(name, ACTIVATIONS[name], initializer, options)


if __name__ == "__main__":
    main()
