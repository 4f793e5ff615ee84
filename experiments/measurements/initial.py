"""Group ``initial``: networks at initialisation (Figs. 6-8 and eq. 17)."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ml_collections import ConfigDict

from experiments.data.errors import DataError
from experiments.measurements import predicted
from experiments.networks import SCHEME_EXAMPLES
from experiments.results.schema import labelled
from glorot_jax import probes
from glorot_jax.activations import resolve, slope
from glorot_jax.data import shapeset
from glorot_jax.data.stream import Batch, Task
from glorot_jax.diagnosis.arrays import Array, of_backend
from glorot_jax.diagnosis.measuring import lanczos, spectra
from glorot_jax.initialization import draw
from glorot_jax.keys import generator, named
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP, Params, kernels, signals
from glorot_jax.probes.activations import ACTIVATION_RANGE
from glorot_jax.probes.gradients import RANGE_IN_STD
from glorot_jax.training.ensemble import map_members, over_devices
from glorot_jax.typing import PyTree

DIMS = {"quantile": ("quantile",), "histogram": ("bin",), "singular_value": ("example", "rank")}
PER_CONDITION = {
    "predicted_singular_value_mean": ("condition",),
    "meanfield_singular_value": ("condition", "point"),
    "meanfield_singular_value_density": ("condition", "point"),
}


@dataclass(frozen=True)
class Monitored:
    """What networks are measured on; ``scheme_x`` is for data-dependent schemes."""

    dataset: str
    classes: int
    batch: Batch
    scheme_x: jax.Array


def monitored(
    settings: ConfigDict, task: Task | None, key: jax.Array, pixel_range: tuple[float, float]
) -> Monitored:
    """The first test examples of ``task``, or Shapeset examples drawn for it where it is None.

    Raises:
      DataError: the set has fewer test examples than ``settings.examples``.
    """
    count = settings.examples
    if task is None:
        draw_x = partial(shapeset.sample, pixel_range=pixel_range)
        scheme_x = draw_x(named(key, "initialization examples"), SCHEME_EXAMPLES).x
        return Monitored(
            "shapeset",
            len(shapeset.CLASS_NAMES),
            draw_x(named(key, "monitored examples"), count),
            scheme_x,
        )
    if count > len(task.test.y):
        raise DataError(
            f"config.initial.examples: {count} is more than the {len(task.test.y)} test examples "
            f"of {task.name}"
        )
    batch = Batch(task.test.x[:count], task.test.y[:count])
    scheme_x = task.train.arrays.x[:SCHEME_EXAMPLES]
    return Monitored(task.name, len(task.class_names), batch, scheme_x)


def measure(
    settings: ConfigDict, examples: Monitored, *, key: jax.Array, tick: Callable[[], None]
) -> xr.Dataset:
    """Every activation x initialiser of ``settings``, each for every seed.

    All networks of one activation go through one program, under one ``vmap`` on each device.
    ``singular_value`` is exact, at the first ``jacobian_examples`` of the monitoring examples, the
    same for every seed; ``singular_value_mean`` by Lanczos iterations at ``mean_examples`` of them
    that are the seed's own, so that what differs between seeds holds the examples too. What theory
    says of each condition stands beside them. ``tick`` is called once an activation.
    """
    x = examples.batch.x
    layers = (settings.width,) * settings.depth
    sizes = [x.shape[1], *layers, examples.classes]
    measured, predictions = [], []
    # Theory takes one core, and doesn't wait for the networks of the next activation.
    with ThreadPoolExecutor(max_workers=1) as aside:
        for activation in settings.activations:
            model = MLP(layers, sizes[-1], resolve(activation))
            seen = _of_networks(model, settings, examples, key)
            gradients = seen.pop("output_gradient")
            theory = aside.submit(_theory, activation, settings, sizes, x, seen, gradients)
            measured.append(seen)
            predictions.append(theory)
            tick()
        every = [seen | theory.result() for seen, theory in zip(measured, predictions, strict=True)]
    stacked = jax.tree.map(lambda *by_activation: np.concatenate(by_activation), *every)
    pairs = [(a, i) for a in settings.activations for i in settings.initializers]
    return _dataset(stacked, pairs, sizes, settings, examples.dataset)


def _of_networks(
    model: MLP, settings: ConfigDict, examples: Monitored, key: jax.Array
) -> dict[str, np.ndarray]:
    """What the networks of one activation show, [initialisers, seeds, ..]."""
    batch = examples.batch
    seed_keys = [named(key, "weights", seed) for seed in range(settings.seeds)]
    networks = _draw(settings.initializers, model, seed_keys, examples.scheme_x)
    statistics_of = partial(_statistics, model, batch=batch, bins=settings.bins)
    statistics = over_devices(jax.vmap(statistics_of), networks)
    statistics["singular_value"] = singular_values(
        model, networks, batch.x[: settings.jacobian_examples]
    )
    statistics["singular_value_mean"] = mean_singular_values(
        model, networks, _own_examples(settings, batch.x), generator(named(key, "Lanczos"))
    )
    grid = (len(settings.initializers), settings.seeds)
    return {
        name: np.asarray(values).reshape(*grid, *values.shape[1:])
        for name, values in statistics.items()
    }


def _draw(
    initializers: Sequence[str], model: MLP, seed_keys: Sequence[jax.Array], scheme_x: jax.Array
) -> Params:
    """Parameters of every initialiser x seed, stacked in that order on axis 0."""
    drawn = [draw(name, model, key, scheme_x) for name in initializers for key in seed_keys]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)


def _own_examples(settings: ConfigDict, x: jax.Array) -> jax.Array:
    """The seed's own examples for every initialiser x seed, stacked on axis 0."""
    count, seeds = settings.mean_examples, range(settings.seeds)
    rows = np.stack([(seed * count + np.arange(count)) % len(x) for seed in seeds])
    return jnp.tile(x[rows], (len(settings.initializers), 1, 1))


def singular_values(model: MLP, networks: Params, x: jax.Array, /) -> np.ndarray:
    """All of each hidden layer's Jacobian at each example of x [n, inputs], descending.

    Returns [networks, depth, n, k], as ``probes.singular_values`` for ``networks`` stacked on axis
    0, but in float64 and by the host's LAPACK, which finds them in half the time.
    """
    slopes_of = jax.jit(map_members(jax.default_backend())(lambda net: _slopes(model, (net, x))))
    every = kernels(networks)[:-1]
    k = max(min(kernel.shape[1:]) for kernel in every)

    def of_layer(kernel: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        values = spectra.singular_values_of(kernel * of_one for of_one in slopes)
        padding = ((0, 0), (0, k - values.shape[1]))
        return np.pad(values, padding, constant_values=np.nan)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = [
            list(threads.map(of_layer, np.asarray(kernel), np.asarray(slopes)))
            for kernel, slopes in zip(every, slopes_of(networks), strict=True)
        ]
    return np.stack(found, axis=1).astype(np.float32)


def mean_singular_values(
    model: MLP,
    networks: Params,
    x: jax.Array,
    random: np.random.Generator,
    /,
    *,
    matvecs: int = lanczos.MATVECS,
) -> np.ndarray:
    """Mean singular value of each hidden layer's Jacobian, [networks, depth], over its examples.

    ``networks`` and their examples x [networks, n, inputs] are stacked on axis 0. By
    Golub-Kahan-Lanczos iterations of ``matvecs`` steps from one start vector an example, with the
    mean square, which is known, as control variate: within about 0.2% at 1000 units.
    """
    each = map_members(jax.default_backend())
    forth, back = jax.jit(each(_forth)), jax.jit(each(_back))
    slopes_of = jax.jit(each(partial(_slopes, model)))
    nets, n = x.shape[:2]

    def means(kernel: jax.Array, slopes: jax.Array) -> list[np.ndarray]:
        def of_all(product: Callable[[PyTree], jax.Array], rows: Array) -> Array:
            of_nets = product((kernel, slopes, rows.reshape(nets, n, -1)))
            return of_backend(of_nets.reshape(nets * n, -1))

        inputs, outputs = kernel.shape[1:]
        operator = lanczos.Operator(partial(of_all, forth), partial(of_all, back), inputs, outputs)
        start = of_backend(lanczos.signs(random, (nets * n, min(inputs, outputs))))
        steps = lanczos.bidiagonal(operator, start, matvecs=matvecs)
        # Of J = W diag(f'(s)).
        weights, gains = (np.square(np.asarray(a, np.float64)) for a in (kernel, slopes))
        squares = np.einsum("enu,eu->en", gains, weights.sum(axis=1)) / steps.k
        # One start vector an example.
        rules = zip(*(a.reshape(nets, n, 1, -1) for a in steps[:2]), np.sqrt(squares), strict=True)
        return [
            spectra.summary(spectra.ritz(lanczos.Bidiagonal(diagonal, above, steps.k)), rms).mean
            for diagonal, above, rms in rules
        ]

    layers = zip(kernels(networks)[:-1], slopes_of((networks, x)), strict=True)
    return np.stack([means(*layer) for layer in layers], axis=1)


def _slopes(model: MLP, network: tuple[Params, jax.Array]) -> list[jax.Array]:
    """f'(s) of each hidden layer, [n, units]."""
    return [slope(model.activation, s) for s in signals(model, *network).s[:-1]]


def _forth(layer: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
    kernel, slopes, z = layer
    return (z @ kernel) * slopes


def _back(layer: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
    kernel, slopes, s = layer
    return (s * slopes) @ kernel.T


def _statistics(model: MLP, params: Params, *, batch: Batch, bins: int) -> dict[str, jax.Array]:
    groups = {
        "activation": probes.activation_statistics(model, params, batch, bins=bins),
        **probes.gradient_statistics(model, params, batch, bins=bins),
    }
    flat = {f"{group}_{name}": v for group, of in groups.items() for name, v in of.items()}
    return flat | {
        # The same backward pass: within one program it is done once.
        "output_gradient": probes.gradients(model, params, batch, cross_entropy).ds[-1],
        "weight_variance": jnp.stack([jnp.var(kernel) for kernel in kernels(params)[:-1]]),
        "output_weight_variance": jnp.var(kernels(params)[-1]),
        "input_mean_square": jnp.mean(jnp.square(batch.x)),
    }


def _theory(
    activation: str,
    settings: ConfigDict,
    sizes: list[int],
    x: jax.Array,
    measured: dict[str, np.ndarray],
    output_gradients: np.ndarray,
) -> dict[str, np.ndarray]:
    """Predictions for every initialiser, on axis 0."""
    of_all_layers = np.concatenate(
        [measured["weight_variance"], measured["output_weight_variance"][..., None]], axis=-1
    )
    activation_edges, gradient_edges = _edges(settings.bins)
    by_initializer = []
    for i, initializer in enumerate(settings.initializers):
        values = measured["singular_value"][i]
        nets = predicted.Networks(
            activation,
            initializer,
            sizes,
            x=np.asarray(x),
            jacobian_examples=settings.jacobian_examples,
            weight_variances=of_all_layers[i],
            output_gradients=output_gradients[i],
            activation_edges=activation_edges,
            backprop_edges=gradient_edges * measured["backprop_unit"][i].mean(),
            weight_gradient_edges=gradient_edges * measured["weight_gradient_unit"][i].mean(),
            largest_singular_value=float(values.max(initial=0, where=np.isfinite(values))),
        )
        by_initializer.append(predicted.linear_regime(nets) | predicted.mean_field(nets))
    return {
        name: np.stack([one[name] for one in by_initializer]).astype(np.float32)
        for name in by_initializer[0]
    }


def _edges(bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Of activations, and of gradients in units of the top layer's standard deviation."""
    return (
        np.linspace(*ACTIVATION_RANGE, bins + 1, dtype=np.float32),
        np.linspace(-RANGE_IN_STD, RANGE_IN_STD, bins + 1, dtype=np.float32),
    )


def _dims(name: str) -> tuple[str, ...]:
    """The dimensions of a variable."""
    network = ("condition", "seed")
    if name in PER_CONDITION:
        return PER_CONDITION[name]
    if name in ("output_weight_variance", "input_mean_square"):
        return network
    last = DIMS.get(name, DIMS.get(name.rsplit("_", 1)[-1], ()))
    if name.startswith("meanfield_") or name.endswith("_spread"):
        return ("condition", "layer", *last)
    return (*network, "layer", *last)


def _dataset(
    measured: dict[str, np.ndarray],
    pairs: list[tuple[str, str]],
    sizes: list[int],
    settings: ConfigDict,
    dataset: str,
) -> xr.Dataset:
    variables = {name: labelled(name, _dims(name), values) for name, values in measured.items()}
    edges, gradient_edges = _edges(settings.bins)
    coords = {
        "condition": [f"{a} {i}" for a, i in pairs],
        "activation": ("condition", [a for a, _ in pairs]),
        "initializer": ("condition", [i for _, i in pairs]),
        "layer": np.arange(1, settings.depth + 1),
        "fan_in": ("layer", sizes[:-2]),
        "fan_out": ("layer", sizes[1:-1]),
        "seed": np.arange(settings.seeds),
        "quantile": list(probes.QUANTILES),
        "activation_bin_edge": ("edge", edges),
        "gradient_bin_edge": ("edge", gradient_edges),
    }
    return xr.Dataset(
        variables,
        coords,
        attrs={
            "dataset": dataset,
            "examples": settings.examples,
            "jacobian_examples": settings.jacobian_examples,
            "mean_examples": settings.mean_examples,
            "width": settings.width,
        },
    )
