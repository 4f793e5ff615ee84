"""Small made-up results that follow the schema of ``experiments.results.schema``.

Defaults show what the paper found; each keyword turns one effect, so that a figure, a page or a
predicate can be tried on results that were never run. Same keywords, same numbers.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from experiments.data.registry import DATA_SETS
from experiments.networks import DENOISING, NetworkSpec, coordinates
from experiments.results import schema as schema
from experiments.studies import STUDIES
from glorot_jax.initialization import uniform_variances
from tests.experiments.made_up_baseline import baseline_part

BINS = 40
QUANTILES = (0.02, 0.5, 0.98)
TAIL = 2.054  # standard normal quantile of 0.98
NOISE = 0.003
PRETRAINING_POINTS = 4
CLASS_NAMES = ("T", "P", "E", "T+P", "P+E", "T+E", "T+T", "P+P", "E+E")

TABLE_1 = {
    "shapeset": {
        "Softsign": 0.1627,
        "Softsign N": 0.1606,
        "Tanh": 0.2715,
        "Tanh N": 0.1560,
        "Sigmoid": 0.8333,
        "Sigmoid 4": 0.30,
        "Tanh pre-trained": 0.13,
    },
    "mnist": {
        "Softsign": 0.0164,
        "Softsign N": 0.0172,
        "Tanh": 0.0176,
        "Tanh N": 0.0164,
        "Sigmoid": 0.0221,
    },
    "cifar10": {
        "Softsign": 0.5578,
        "Softsign N": 0.538,
        "Tanh": 0.559,
        "Tanh N": 0.5292,
        "Sigmoid": 0.5728,
    },
    "small_imagenet": {
        "Softsign": 0.6914,
        "Softsign N": 0.6813,
        "Tanh": 0.7058,
        "Tanh N": 0.6857,
        "Sigmoid": 0.7066,
    },
}
INPUTS = {"shapeset": 1024, "mnist": 784, "digits": 64, "cifar10": 3072, "fashion_mnist": 784}
SMALL_IMAGENET_INPUTS = 37 * 37
CLASSES = {
    "shapeset": CLASS_NAMES,
    "small_imagenet": (
        *("reptiles", "vehicles", "birds", "mammals", "fish"),
        *("furniture", "instruments", "tools", "flowers", "fruits"),
    ),
}
SHAPESET_SHARES = (*(1 / 6,) * 3, *(1 / 9,) * 3, *(1 / 18,) * 3)
# Final error by depth, 1 to 5.
DEPTH_ERROR = {
    "Softsign": (0.40, 0.30, 0.23, 0.19, 0.1627),
    "Softsign N": (0.40, 0.29, 0.22, 0.18, 0.1606),
    "Tanh": (0.42, 0.36, 0.32, 0.29, 0.2715),
    "Tanh N": (0.40, 0.28, 0.21, 0.17, 0.1560),
    "Sigmoid": (0.45, 0.40, 0.34, 0.30, 0.8333),
}
# 1/e times of the test error, as fractions of the whole run.
TIME_CONSTANT = {
    "Softsign": 0.12,
    "Softsign N": 0.09,
    "Tanh": 0.16,
    "Tanh N": 0.08,
    "Sigmoid": 0.3,
    "Sigmoid 4": 0.4,
}
# When each layer saturates, as fractions of the whole run.
SATURATION = {"Tanh": (0.1, 0.25, 0.4, 0.55, 0.7)}
TOGETHER = (0.4,) * 10
# 98th percentile that each activation ends at.
CEILING = {"Tanh": 0.995, "Tanh N": 0.85, "Softsign": 0.8, "Softsign N": 0.8}
FINAL_SHAPE = {"tanh": "extremes", "softsign": "knee", "sigmoid": "knee"}
GRADIENT_SPREAD = {"Tanh": 8.0, "Tanh N": 1.3, "Softsign": 1.5, "Softsign N": 1.5}


# What a run has where every data set can be had, so no stand-in.
TRAINED_ON = ("shapeset", "mnist", "cifar10", "small_imagenet", "fashion_mnist")

Entry = tuple[tuple[str, ...], np.ndarray, str, str]  # dims, values, long_name, units


CONDITIONS = {
    "Softsign": NetworkSpec("softsign", "standard"),
    "Softsign N": NetworkSpec("softsign", "normalized"),
    "Tanh": NetworkSpec("tanh", "standard"),
    "Tanh N": NetworkSpec("tanh", "normalized"),
    "Sigmoid": NetworkSpec("sigmoid", "standard"),
    "Sigmoid 4": NetworkSpec("sigmoid", "standard", 4),
    "Tanh pre-trained": NetworkSpec("tanh", "denoising"),
}
TANH, TANH_N = CONDITIONS["Tanh"], CONDITIONS["Tanh N"]
SECTION_5 = {
    TANH: 0.2715,
    TANH_N: 0.156,
    TANH.replace(optimizer="hessian_diagonal"): 0.22,
    TANH.replace(optimizer="gradient_variance"): 0.24,
    TANH_N.replace(optimizer="hessian_diagonal"): 0.14,
    TANH_N.replace(optimizer="gradient_variance"): 0.145,
    TANH.replace(shape="growing"): 0.28,
    TANH_N.replace(shape="growing"): 0.17,
    TANH.replace(shape="shrinking"): 0.26,
    TANH_N.replace(shape="shrinking"): 0.15,
}
COSTS = {
    CONDITIONS[net].replace(loss=loss): error
    for net, errors in {
        "Softsign": (0.1627, 0.24),
        "Tanh": (0.2715, 0.35),
        "Tanh N": (0.156, 0.21),
        "Sigmoid": (0.6, 0.8333),
    }.items()
    for loss, error in zip(("cross_entropy", "quadratic"), errors, strict=True)
}
GAUSSIANS = {TANH: 0.2715, TANH_N: 0.156} | {
    NetworkSpec("tanh", f"gaussian({scale})"): error
    for scale, error in ((0.001, 0.8333), (0.01, 0.35), (0.03, 0.17), (0.1, 0.4), (0.3, 0.6))
}
MODERN = {
    NetworkSpec(activation, initializer): error
    for activation in ("tanh", "softsign", "relu", "gelu")
    for initializer, error in (
        ("standard", 0.25),
        ("normalized", 0.16),
        ("pytorch", 0.26),
        ("lecun_normal", 0.17),
        ("he_normal", 0.15),
        ("orthogonal", 0.14),
        ("lsuv", 0.13),
    )
}


# Our own question: 1/e times of the test error as fractions of the run, by n Var[W] and Var[b].
_BY_KERNELS = {1 / 6: 0.9, 1 / 3: 0.6, 0.6: 0.3}  # 0.1 for larger ones
_BY_BIASES = {0.0: 1.0, 0.003: 0.7, 0.03: 0.5, 0.3: 0.4}  # times that, for small kernels


def plateau_time(scheme: str) -> float:
    """The 1/e time of a net of the study ``plateau``."""
    kernels, biases = uniform_variances(scheme) or (1 / 3, 0.003)
    small = kernels < 0.5
    return _BY_KERNELS.get(kernels, 0.1) * (_BY_BIASES[biases] if small else 1.0)


ADAM_TIME = {
    "Tanh": 0.6,
    "Tanh pytorch": 0.4,
    "Tanh N": 0.1,
    "Tanh uniform(1,0.003)": 0.1,
    "Tanh, Adam": 0.2,
    "Tanh pytorch, Adam": 0.12,
    "Tanh N, Adam": 0.08,
    "Tanh uniform(1,0.003), Adam": 0.08,
    "Tanh, depth 10, Adam": 0.5,
    "Tanh N, depth 10, Adam": 0.08,
}
FIRST_LAYER = {
    "Tanh": (0.6, 0.3, 0.2, 0.1, 0.05),
    "Tanh, layer 1 frozen": (0.0, 0.4, 0.2, 0.1, 0.05),
    "Tanh, layer 1 slow": (0.1, 0.3, 0.2, 0.1, 0.05),
    "Tanh, whitened inputs": (0.1, 0.3, 0.2, 0.1, 0.05),
}


def results(**parts: xr.Dataset) -> xr.DataTree:
    """One tree of ``parts`` by name; of every part with its defaults where none is given."""
    if not parts:
        parts = {
            "examples": examples_part(),
            "surface": surface_part(),
            "initial": initial_part(),
            "shapeset": training_part("shapeset"),
            **{name: training_part(name) for name in TRAINED_ON},
            "selection": selection_part(),
            "section5": section5_part(),
            "costs": costs_part(),
            "gaussians": gaussians_part(),
            "modern": modern_part(),
            "plateau": plateau_part(),
            "adam": adam_part(),
            "first_layer": first_layer_part(),
            "baseline": baseline_part(),
        }
    return schema.build(parts, {"title": "made up"})


def examples_part(*, examples: int = 18, second_shapes: bool = True) -> xr.Dataset:
    """Fig. 1: squares of random grey on a grey ground, as many as there would be shapes."""
    random = np.random.default_rng(1)
    classes = np.arange(examples) % len(CLASS_NAMES)
    pair = np.array(["+" in CLASS_NAMES[label] for label in classes])

    def images(side: int) -> np.ndarray:
        pixels = np.full((examples, side, side), -0.6, np.float32)
        grey = random.uniform(0, 1, (2, examples, 1, 1))
        pixels[:, side // 4 : side // 2, side // 4 : side // 2] = grey[0]
        if second_shapes:
            pixels[pair, side // 2 : -1, side // 2 : -1] = grey[1, pair]
        return pixels

    variables = {
        "image_32": (("example", "row_32", "column_32"), images(32), "pixel", "grey level"),
        "image_64": (("example", "row_64", "column_64"), images(64), "pixel", "grey level"),
        "label_32": (("example",), classes, "class of the 32 x 32 image", "1"),
        "label_64": (("example",), classes, "class of the 64 x 64 image", "1"),
        "class_name": (("class",), np.array(CLASS_NAMES), "class", "1"),
    }
    return _dataset(variables, {})


def surface_part(
    *,
    seeds: int = 5,
    points: int = 9,
    plateau_cross_entropy: float = 0.1,
    plateau_quadratic: float = 0.4,
    noise: float = NOISE,
) -> xr.Dataset:
    """Fig. 5: two bowls with a floor and a ceiling, flat on the fraction asked for."""
    random = np.random.default_rng(2)
    weights = np.linspace(-4, 4, points)
    bowl = np.tanh(np.add.outer(weights**2, weights**2) / 8)
    shift = random.uniform(0, 0.1, (seeds, 1, 1))

    def fraction(level: float) -> np.ndarray:
        return np.clip(level + noise * random.standard_normal(seeds), 0, 1)

    surface = ("seed", "first_weight", "second_weight")
    variables = {
        "cross_entropy": (surface, 1.5 + bowl + shift, "cross-entropy", "nat"),
        "quadratic": (surface, 0.4 + 0.3 * bowl + shift, "quadratic cost", "1"),
        "plateau_cross_entropy": (
            ("seed",),
            fraction(plateau_cross_entropy),
            "plateau of the cross-entropy",
            "fraction",
        ),
        "plateau_quadratic": (
            ("seed",),
            fraction(plateau_quadratic),
            "plateau of the quadratic cost",
            "fraction",
        ),
    }
    places = {
        "seed": (("seed",), np.arange(seeds), "seed", "1"),
        "first_weight": (("first_weight",), weights, "a weight of layer 1", "1"),
        "second_weight": (("second_weight",), weights, "a weight of layer 2", "1"),
    }
    return _dataset(variables, places)


def initial_part(
    *,
    seeds: int = 3,
    depth: int = 5,
    width: int = 1000,
    inputs: int = 1024,
    activations: Sequence[str] = ("tanh", "softsign"),
    n_variance: Mapping[str, float] | None = None,
    activation_gain: Mapping[str, float] | None = None,
    backprop_gain: Mapping[str, float] | None = None,
    weight_gradient_gain: Mapping[str, float] | None = None,
    singular: Mapping[str, float] | None = None,
    over_mean_field: float | None = 1.02,
    noise: float = NOISE,
) -> xr.Dataset:
    """Figs. 6-8 and eq. 17, at initialisation.

    The mappings go from initialiser to a number. ``n_variance``: n Var[W]. The gains multiply a
    mean square from one hidden layer to the next: of activations going up, of back-propagated
    gradients going down, of weight gradients going up. ``singular``: mean singular value.
    ``over_mean_field``: measured over predicted variance, None for results without predictions.
    """
    n_variance = {"standard": 1 / 3, "normalized": 1.0} | dict(n_variance or {})
    activation_gain = {"standard": 0.31, "normalized": 0.80} | dict(activation_gain or {})
    backprop_gain = {"standard": 0.33, "normalized": 0.85} | dict(backprop_gain or {})
    weight_gradient_gain = {"standard": 1.0, "normalized": 1.0} | dict(weight_gradient_gain or {})
    singular = {"standard": 0.483, "normalized": 0.741} | dict(singular or {})
    random = np.random.default_rng(3)
    names = {
        f"{activation} {initializer}": NetworkSpec(activation, initializer, depth)
        for activation in activations
        for initializer in ("standard", "normalized")
    }
    shape = (len(names), seeds, depth)
    layer = np.arange(depth)
    fan_in = np.array([inputs] + [width] * (depth - 1))
    fan_out = np.full(depth, width)

    def noisy(values: np.ndarray) -> np.ndarray:
        return values * np.exp(noise * random.standard_normal(shape))

    def of(numbers: Mapping[str, float]) -> np.ndarray:
        return np.array([numbers[c.scheme] for c in names.values()])[:, None, None]

    def variance(c: NetworkSpec, numbers: Mapping[str, float]) -> np.ndarray:
        fan = fan_in if c.scheme == "standard" else (fan_in + fan_out) / 2
        return numbers[c.scheme] / fan

    weight_variance = noisy(np.stack([variance(c, n_variance) for c in names.values()])[:, None, :])
    weight_gradient = noisy(1e-6 * of(weight_gradient_gain) ** layer)
    variables = {
        **_activation_variables(
            noisy(0.1 * of(activation_gain) ** layer), extra=("condition", "seed", "layer")
        ),
        **_gradient_variables("backprop", noisy(1e-5 * of(backprop_gain) ** (depth - 1 - layer))),
        **_gradient_variables("weight_gradient", weight_gradient),
        **_predictions(np.broadcast_to(of(n_variance), shape)),
        "weight_gradient_ratio": _layered(
            np.sqrt(weight_gradient / weight_variance), "weight gradient over weight"
        ),
        "weight_variance": _layered(weight_variance, "Var[W]"),
        "singular_value": _singular_values(noisy(np.broadcast_to(of(singular), shape))),
    }
    if over_mean_field is not None:
        variables |= _mean_field(variables, over_mean_field)
    return _dataset(variables, _initial_coordinates(names, seeds, fan_in, fan_out))


def _initial_coordinates(
    names: Mapping[str, NetworkSpec], seeds: int, fan_in: np.ndarray, fan_out: np.ndarray
) -> dict[str, Entry]:
    places = {
        **_condition_coordinates(names),
        **_statistics_coordinates(seeds, len(fan_in)),
        "fan_in": (("layer",), fan_in, "units below", "1"),
        "fan_out": (("layer",), fan_out, "units", "1"),
        "gradient_bin_edge": (("edge",), np.linspace(-5, 5, BINS + 1), "edge", "top layer's std"),
    }
    of_training = ("depth", "optimizer", "shape", "loss", "pixels")
    return {name: entry for name, entry in places.items() if name not in of_training}


def _predictions(n_variance: np.ndarray) -> dict[str, Entry]:
    """Eqs. 5-7 and the oracle from n Var[W], [condition, seed, layer]."""
    depth = n_variance.shape[2]
    layer = np.arange(depth)
    backprop = 1e-5 * n_variance ** (depth - 1 - layer)
    oracle = 8 / (3 * math.pi) * np.sqrt(n_variance[:, 0, 0])
    return {
        "predicted_activation": _layered(0.1 * n_variance**layer, "Var[z], eq. 5"),
        "predicted_backprop": _layered(backprop, "Var[dC/ds], eq. 6"),
        "predicted_weight_gradient": _layered(np.full(n_variance.shape, 1e-6), "Var[dC/dw], eq. 7"),
        "backprop_output_mean_square": _layered(
            np.full(n_variance.shape, 1e-2), "mean square of dC/ds at the logits"
        ),
        "predicted_singular_value_mean": (("condition",), oracle, "oracle's mean", "1"),
    }


def _mean_field(measured: Mapping[str, Entry], over: float) -> dict[str, Entry]:
    """Predictions by which the measured variances are ``over`` times too large in every layer."""
    powers = {"mean_square": 1.0, "std": 0.5, "histogram": 0.0}
    found: dict[str, Entry] = {}
    for subject in ("activation", "backprop", "weight_gradient"):
        for what, power in powers.items():
            dims, values, text, units = measured[f"{subject}_{what}"]
            predicted = values.mean(axis=1) / over**power
            found[f"meanfield_{subject}_{what}"] = (dims[:1] + dims[2:], predicted, text, units)
        spread = np.full(values.shape[::2][:2], 0.02)
        found[f"predicted_{subject}_spread"] = (("condition", "layer"), spread, "spread", "1")
    singular = measured["singular_value"][1].mean(axis=(1, 3, 4)) / over
    at = 2 * singular.mean(axis=1)[:, None] * np.linspace(0.05, 1, 20)
    of_points = ("condition", "point")
    return {
        **found,
        "meanfield_singular_value_mean": (("condition", "layer"), singular, "mean", "1"),
        "meanfield_singular_value": (of_points, at, "singular value", "1"),
        "meanfield_singular_value_density": (of_points, 1 / at[:, -1:] + 0 * at, "density", "1"),
    }


def _singular_values(mean: np.ndarray) -> Entry:
    """Two examples of 11 singular values, evenly from twice the mean down to 0."""
    spectrum = np.broadcast_to(np.linspace(2, 0, 11), (*mean.shape, 2, 11))
    dims = ("condition", "seed", "layer", "example", "rank")
    return dims, mean[..., None, None] * spectrum, "singular value of the Jacobian", "1"


class Training(NamedTuple):
    """Knobs of a training part; mappings go from the condition's name to what is changed.

    ``final_error``, ``time_constant``: of the error's exponential fall. ``saturation``: for each
    layer when it reaches its ``ceiling``, the last 98th percentile, as a fraction of the run.
    ``final_shape``: by activation, of the last histogram (``extremes``, ``knee`` or ``bell``).
    ``gradient_spread``: last ratio of the largest to the smallest layer's weight gradient;
    ``first_spread``: the first one, of every condition.
    ``tanh_saturated``: last saturated fractions of the first and the top layer.
    Sigmoid nets: ``top_falls_to``, mean of the top layer once fallen; ``sigmoid_leaves``,
    ``sigmoid_4_leaves``, when it leaves, None for never; ``lower_mean``, mean of layer 1, with
    ``lower_step`` more for each layer above it; ``first_layer_saturates``, by how much when the
    top leaves; ``sigmoid_top_saturated``, fraction while the top is at 0.
    ``pretrained_mean``: of the top layer of a sigmoid net that was pre-trained, all along.
    ``bias_over_signal``: of the two parts of the logits, all along.
    ``reconstruction``: first and last cost of the autoencoders, where a condition has any.
    ``class_shares``: of the test set, by class; Shapeset's own, or all alike, where None.
    """

    conditions: Mapping[str, NetworkSpec] | None = None
    seeds: int = 3
    width: int = 1000
    updates: int = 5_000_000
    checkpoints: int = 8
    final_error: Mapping[str, float] = MappingProxyType({})
    time_constant: Mapping[str, float] = MappingProxyType({})
    saturation: Mapping[str, Sequence[float]] = MappingProxyType({})
    ceiling: Mapping[str, float] = MappingProxyType({})
    final_shape: Mapping[str, str] = MappingProxyType({})
    gradient_spread: Mapping[str, float] = MappingProxyType({})
    first_spread: float = 1.0
    tanh_saturated: tuple[float, float] = (0.3, 0.15)
    top_falls_to: float = 0.01
    sigmoid_4_leaves: float | None = 0.4
    sigmoid_leaves: float | None = None
    lower_mean: float = 0.6
    lower_step: float = 0.02
    first_layer_saturates: float = 0.3
    sigmoid_top_saturated: float = 0.9
    pretrained_mean: float = 0.4
    bias_over_signal: float = 3.0
    reconstruction: tuple[float, float] = (1.0, 0.3)
    test_examples: int = 10_000
    noise: float = NOISE
    class_shares: Sequence[float] | None = None


def training_part(name: str = "shapeset", **knobs: Any) -> xr.Dataset:
    """One data set's training runs, or a study's; ``knobs`` are the fields of ``Training``."""
    made = Training(**knobs)
    dataset = "shapeset" if name in STUDIES else name
    like = DATA_SETS[dataset].stands_in_for or dataset
    errors = TABLE_1.get(like, TABLE_1["mnist"])
    conditions = made.conditions or {label: CONDITIONS[label] for label in errors}
    time = np.linspace(0, 1, made.checkpoints) ** 2  # denser at the start, as the runs are
    random = np.random.default_rng(4)
    start = 0.8333 if dataset == "shapeset" else 0.9
    error = _errors(made, conditions, errors | dict(made.final_error), start, time, random)
    courses = [_course(made, *item, time, random) for item in conditions.items()]
    depth = max(condition.depth for condition in conditions.values())
    stacked = {
        key: np.stack([_padded(course[key], depth) for course in courses]) for key in courses[0]
    }
    pretraining, points = _pretraining(made, conditions, depth)
    places = {
        **_condition_coordinates(conditions),
        **_statistics_coordinates(made.seeds, depth),
        "learning_rate": (("learning_rate",), np.array([0.01, 0.1]), "learning rate", "1"),
        "update": (
            ("update",),
            np.round(time * made.updates).astype(int),
            "updates done",
            "update",
        ),
        **points,
    }
    class_names = CLASSES.get(like, tuple(str(number) for number in range(10)))
    usual = SHAPESET_SHARES if dataset == "shapeset" else (1 / len(class_names),) * len(class_names)
    shares = np.array(usual if made.class_shares is None else made.class_shares)
    counts = np.round(made.test_examples * shares)
    variables = {
        **_error_variables(error),
        **_course_variables(stacked),
        **_output_variables(made, stacked["mean"].shape[:3], random),
        **pretraining,
        "test_class_count": (("class",), counts, "examples of each class", "1"),
    }
    losses = {condition.loss for condition in conditions.values()}
    return _dataset(variables, places).assign_attrs(
        dataset=dataset,
        origin="made up",
        class_names=list(class_names),
        inputs=INPUTS.get(dataset, SMALL_IMAGENET_INPUTS),
        classes=len(class_names),
        batch_size=10,
        width=made.width,
        loss=min(losses),
        validation_examples=made.test_examples,
        test_examples=made.test_examples,
        probe_examples=300,
    )


def selection_part(
    *, depth_error: Mapping[str, Sequence[float]] = MappingProxyType({}), **knobs: Any
) -> xr.Dataset:
    """Section 2.3: every model with every depth; ``depth_error``: of a model, depths from 1 on."""
    errors = DEPTH_ERROR | {model: tuple(found) for model, found in depth_error.items()}
    candidates = np.arange(1, len(errors["Tanh"]) + 1)
    conditions = {CONDITIONS[m].replace(depth=int(d)): m for m in errors for d in candidates}
    part = _study("selection", {c: errors[m][c.depth - 1] for c, m in conditions.items()}, knobs)
    grid = (len(errors), len(candidates))
    by_depth = part["selection_error"].values.min(axis=1).reshape(grid)
    best = by_depth.argmin(axis=1)
    final = part["final_test_error"].values.reshape(*grid, -1)
    ordered = np.sort(by_depth, axis=1)
    variables = {
        "depth_error": (("model", "candidate_depth"), by_depth, "validation error", "fraction"),
        "chosen_depth": (("model",), candidates[best], "chosen depth", "1"),
        "depth_margin": (("model",), ordered[:, 1] - ordered[:, 0], "margin", "fraction"),
        "chosen_test_error": (
            ("model", "seed"),
            np.take_along_axis(final, best[:, None, None], axis=1)[:, 0],
            "test error of the chosen depth",
            "fraction",
        ),
    }
    places = {
        "model": (("model",), np.array(list(errors)), "model", "1"),
        **{
            f"model_{name}": (("model",), np.array(column), name, "1")
            for name, (_, column) in coordinates([CONDITIONS[model] for model in errors]).items()
            if name in ("activation", "initializer")
        },
        "candidate_depth": (("candidate_depth",), candidates, "hidden layers", "1"),
    }
    return part.merge(_dataset(variables, places)).assign_attrs(part.attrs)


def section5_part(**knobs: Any) -> xr.Dataset:
    """Section 5: learning rates for each parameter, and layers that grow or shrink."""
    return _study("section5", SECTION_5, knobs)


def costs_part(**knobs: Any) -> xr.Dataset:
    """Section 4.1: the same nets with each of the two costs."""
    return _study("costs", COSTS, knobs)


def gaussians_part(**knobs: Any) -> xr.Dataset:
    """Gaussian initialisation of several scales."""
    return _study("gaussians", GAUSSIANS, knobs)


def modern_part(**knobs: Any) -> xr.Dataset:
    """Today's units and initialisers."""
    return _study("modern", MODERN, knobs)


def plateau_part(**knobs: Any) -> xr.Dataset:
    """Our question (a): scales of kernels and biases; ``time_constant`` by the network's name."""
    networks = STUDIES["plateau"].networks
    usual = {spec.name: plateau_time(spec.scheme) for spec in networks}
    errors = dict.fromkeys(networks, 0.68) | {networks[-1]: 0.62}
    return _of_ours("plateau", errors, usual, knobs)


def adam_part(**knobs: Any) -> xr.Dataset:
    """Our question (b): initialisations with SGD and Adam."""
    normalized = ("normalized", "uniform(1,0.003)")
    errors = {n: 0.6 if n.scheme in normalized else 0.65 for n in STUDIES["adam"].networks}
    return _of_ours("adam", errors, ADAM_TIME, knobs)


def first_layer_part(
    *, saturated: Mapping[str, Sequence[float]] = MappingProxyType({}), **knobs: Any
) -> xr.Dataset:
    """Our question (c); ``saturated``: the last fraction of each layer, by the network's name."""
    errors = dict.fromkeys(STUDIES["first_layer"].networks, 0.5)
    part = _of_ours("first_layer", errors, {}, knobs)
    last = np.array([(FIRST_LAYER | dict(saturated))[spec.name] for spec in errors])
    shape = part["activation_saturated"].shape
    noise = np.exp(NOISE * np.random.default_rng(5).standard_normal(shape))
    course = np.linspace(0, 1, shape[2])[:, None] * last[:, None, None]
    return part.assign(activation_saturated=part["activation_saturated"].copy(data=course * noise))


def _of_ours(
    name: str,
    finals: Mapping[NetworkSpec, float],
    usual: Mapping[str, float],
    knobs: Mapping[str, Any],
) -> xr.Dataset:
    times = {**usual, **knobs.get("time_constant", {})}
    sizes = {"updates": 20_000, "width": 100, "checkpoints": 40}
    return _study(name, finals, {**sizes, **knobs, "time_constant": times})


def _study(name: str, finals: Mapping[NetworkSpec, float], knobs: Mapping[str, Any]) -> xr.Dataset:
    """Conditions labelled as in real runs; ``final_error`` of ``knobs`` goes by these labels."""
    labels = {spec.name: spec for spec in finals}
    errors = {label: finals[condition] for label, condition in labels.items()}
    final_error = errors | dict(knobs.get("final_error", {}))
    return training_part(name, conditions=labels, **{**knobs, "final_error": final_error})


def _pretraining(
    made: Training, conditions: Mapping[str, NetworkSpec], depth: int
) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Variables and coordinates of pre-training, none if no condition is pre-trained."""
    pretrained = np.array([c.scheme == "denoising" for c in conditions.values()])
    if not pretrained.any():
        return {}, {}
    cost = np.linspace(*made.reconstruction, PRETRAINING_POINTS)
    of_each = np.where(pretrained[:, None, None, None], cost, np.nan)
    shape = (len(conditions), made.seeds, depth, PRETRAINING_POINTS)
    updates = np.linspace(0, made.updates // 10, PRETRAINING_POINTS).astype(int)
    dims = ("condition", "seed", "layer", "pretraining_point")
    course = np.broadcast_to(of_each, shape)
    return (
        {"reconstruction_cost": (dims, course, "reconstruction cost of an autoencoder", "nat")},
        {"pretraining_update": (dims[-1:], updates, "updates of an autoencoder", "update")},
    )


def _errors(
    made: Training,
    conditions: Mapping[str, NetworkSpec],
    final: Mapping[str, float],
    start: float,
    time: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """[condition, learning_rate, seed, update]; the second learning rate is the better one."""
    constant = TIME_CONSTANT | dict(made.time_constant)
    fall = np.stack([_falling(time, constant.get(label, 0.12)) for label in conditions])
    last = np.array([final[label] for label in conditions])[:, None]
    error = (last + (start - last) * fall)[:, None, None]
    shape = (len(conditions), 2, made.seeds, len(time))
    noise = np.exp(made.noise * random.standard_normal(shape))
    return np.clip(error * noise * np.array([1.1, 1.0])[:, None, None], 0, 1)


def _course(
    made: Training,
    label: str,
    spec: NetworkSpec,
    time: np.ndarray,
    random: np.random.Generator,
) -> dict[str, np.ndarray]:
    """What the probes of one condition would show, [seed, update, layer(, bin)]."""
    shape = (made.seeds, len(time), spec.depth)

    def noisy(values: np.ndarray) -> np.ndarray:
        return values * np.exp(made.noise * random.standard_normal(shape))

    courses = _sigmoid if spec.activation == "sigmoid" else _symmetric
    mean, high, saturated = courses(made, label, spec.depth, time)
    if spec.kind == ("sigmoid", DENOISING):
        mean[1:, -1] = made.pretrained_mean
    mean, high = noisy(mean), np.minimum(noisy(high), 0.999)
    last_spread = (GRADIENT_SPREAD | dict(made.gradient_spread)).get(label, 1.5)
    spread = made.first_spread + (last_spread - made.first_spread) * time
    last = _SHAPES[(FINAL_SHAPE | dict(made.final_shape)).get(spec.activation, "bell")]()
    mixed = (1 - time)[:, None] * _bell(np.array(0.3)) + time[:, None] * last
    return {
        "mean": mean,
        "high": high,
        "std": (high - mean) / TAIL,
        "saturated": noisy(saturated),
        "gradient": noisy(1e-3 * spread[:, None] ** -np.linspace(0, 1, spec.depth)),
        "histogram": np.broadcast_to(mixed[:, None], (*shape, BINS)),
    }


Courses = tuple[np.ndarray, np.ndarray, np.ndarray]


def _sigmoid(made: Training, label: str, depth: int, time: np.ndarray) -> Courses:
    """Mean, 98th percentile and saturated fraction [update, layer]: the top falls at once."""
    leaves = made.sigmoid_4_leaves if depth == 4 else made.sigmoid_leaves
    mean = np.tile(made.lower_mean + made.lower_step * np.arange(depth), (len(time), 1))
    mean[0] = 0.5
    mean[1:, -1] = made.top_falls_to
    if leaves is not None:
        mean[time >= leaves, -1] = 0.4
    at_zero = mean[:, -1] < 0.05
    saturated = np.full(mean.shape, 0.02)
    saturated[~at_zero, 0] += made.first_layer_saturates
    saturated[at_zero, -1] = made.sigmoid_top_saturated
    return mean, mean + 0.2, saturated


def _symmetric(made: Training, label: str, depth: int, time: np.ndarray) -> Courses:
    """Mean, 98th percentile and saturated fraction [update, layer]: each rises at its time."""
    when = (SATURATION | dict(made.saturation)).get(label, TOGETHER)[:depth]
    ceiling = (CEILING | dict(made.ceiling)).get(label, 0.8)
    reached = 1 / (1 + np.exp(-(time[:, None] - np.asarray(when)) / 0.02))
    saturated = (ceiling > 0.95) * reached**2 * np.linspace(*made.tanh_saturated, depth)
    return np.zeros_like(reached), 0.3 + (ceiling - 0.3) * reached, saturated


def _padded(values: np.ndarray, depth: int) -> np.ndarray:
    """[seed, update, layer, ..] with NaN above a condition's own layers."""
    padding = [(0, 0)] * values.ndim
    padding[2] = (0, depth - values.shape[2])
    return np.pad(values, padding, constant_values=np.nan)


def _error_variables(error: np.ndarray) -> dict[str, Entry]:
    whole = ("condition", "learning_rate", "seed", "update")
    final = error[..., -1]
    never = np.full(final.shape, np.nan)
    chosen = np.full(len(error), 0.1)
    selection = final.mean(axis=-1)
    margin = np.abs(selection[:, 0] - selection[:, 1])
    return {
        "validation_error": (whole, error, "validation error", "fraction"),
        "test_error": (whole, error, "test error", "fraction"),
        "test_cost": (whole, -np.log1p(-np.clip(error, 0, 0.99)), "test cost", "nat"),
        "diverged_at": (whole[:3], never, "update of divergence", "update"),
        "selection_error": (whole[:2], selection, "mean final validation error", "fraction"),
        "chosen_learning_rate": (whole[:1], chosen, "chosen learning rate", "1"),
        "selection_margin": (whole[:1], margin, "margin over the next best rate", "fraction"),
        "final_test_error": (("condition", "seed"), final[:, 1], "final test error", "fraction"),
    }


def _output_variables(
    made: Training, shape: tuple[int, ...], random: np.random.Generator
) -> dict[str, Entry]:
    """The two parts of the logits, [condition, seed, update]."""
    signal = 0.1 * np.exp(made.noise * random.standard_normal(shape))
    dims = ("condition", "seed", "update")
    return {
        "output_bias_std": (dims, made.bias_over_signal * signal, "of the biases", "nat"),
        "output_signal_std": (dims, signal, "of the rest", "nat"),
    }


def _course_variables(stacked: Mapping[str, np.ndarray]) -> dict[str, Entry]:
    dims = ("condition", "seed", "update", "layer")
    mean, std, high = (stacked[name] for name in ("mean", "std", "high"))
    gradient = stacked["gradient"]
    quantile = np.stack([2 * mean - high, mean, high], axis=-1)
    return {
        "activation_mean": (dims, mean, "mean activation", "1"),
        "activation_std": (dims, std, "standard deviation of activations", "1"),
        "activation_mean_square": (dims, mean**2 + std**2, "mean square activation", "1"),
        "activation_saturated": (dims, stacked["saturated"], "saturated", "fraction"),
        "activation_quantile": ((*dims, "quantile"), quantile, "quantile of activations", "1"),
        "activation_histogram": (
            (*dims, "bin"),
            stacked["histogram"],
            "activations",
            "fraction",
        ),
        **{
            f"{kind}_{what}": (dims, values, f"{kind} {what}", "1")
            for kind, scale in (("backprop", 3.0), ("weight_gradient", 1.0))
            for what, values in (
                ("std", scale * gradient),
                ("mean_square", (scale * gradient) ** 2),
            )
        },
        "backprop_output_mean_square": (dims, 1e-2 + 0 * gradient, "at the logits", "1"),
        "weight_gradient_ratio": (dims, 10 * gradient, "gradient over weight", "1"),
    }


def _falling(time: np.ndarray, constant: float) -> np.ndarray:
    """Exponential from 1 to 0 in the time there is."""
    fall = np.exp(-time / constant)
    return (fall - fall[-1]) / (fall[0] - fall[-1])


def _centres() -> np.ndarray:
    edges = np.linspace(-1, 1, BINS + 1)
    return (edges[1:] + edges[:-1]) / 2


def _bell(std: float | np.ndarray) -> np.ndarray:
    """Histogram over [-1, 1] of a normal variable; what lies outside is in the outermost bins."""
    edges = np.linspace(-1, 1, BINS + 1)
    edges[0], edges[-1] = -np.inf, np.inf
    cumulative = np.vectorize(math.erf)(edges / (math.sqrt(2) * np.asarray(std)[..., None]))
    return np.diff(cumulative, axis=-1) / 2


def _extremes() -> np.ndarray:
    """A third each at -1, 0 and 1, on a thin floor."""
    place = np.abs(_centres())
    return _to_one(0.02 + 2.0 * (place > 0.95) + 2.0 * (place < 0.05))


def _knee() -> np.ndarray:
    """Most where the softsign bends, around 0.7 on either side."""
    return _to_one(0.1 + np.exp(-(((np.abs(_centres()) - 0.7) / 0.12) ** 2)))


_SHAPES = {"extremes": _extremes, "knee": _knee, "bell": lambda: _bell(np.array(0.3))}


def _to_one(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()


def _layered(values: np.ndarray, long_name: str) -> Entry:
    return ("condition", "seed", "layer"), values, long_name, "1"


def _activation_variables(mean_square: np.ndarray, *, extra: tuple[str, ...]) -> dict[str, Entry]:
    std = np.sqrt(mean_square)
    return {
        "activation_mean": (extra, np.zeros_like(std), "mean activation", "1"),
        "activation_std": (extra, std, "standard deviation of activations", "1"),
        "activation_mean_square": (extra, mean_square, "mean square activation", "1"),
        "activation_saturated": (extra, 0.01 * mean_square, "saturated", "fraction"),
        "activation_quantile": (
            (*extra, "quantile"),
            std[..., None] * np.array([-TAIL, 0, TAIL]),
            "quantile of activations",
            "1",
        ),
        "activation_histogram": ((*extra, "bin"), _bell(std), "activations", "fraction"),
    }


def _gradient_variables(kind: str, mean_square: np.ndarray) -> dict[str, Entry]:
    std = np.sqrt(mean_square)
    unit = np.broadcast_to(std[..., -1:], std.shape)
    return {
        f"{kind}_std": _layered(std, f"standard deviation of the {kind}"),
        f"{kind}_mean_square": _layered(mean_square, f"mean square of the {kind}"),
        f"{kind}_unit": _layered(unit, f"unit of the {kind} histogram"),
        f"{kind}_histogram": (
            ("condition", "seed", "layer", "bin"),
            _bell(std / unit / 5),
            kind,
            "fraction",
        ),
    }


def _condition_coordinates(conditions: Mapping[str, NetworkSpec]) -> dict[str, Entry]:
    return {
        "condition": (("condition",), np.array(list(conditions)), "condition", "1"),
        **{
            name: ((dim,), np.array(column), name, "1")
            for name, (dim, column) in coordinates(list(conditions.values())).items()
        },
    }


def _statistics_coordinates(seeds: int, depth: int) -> dict[str, Entry]:
    return {
        "seed": (("seed",), np.arange(seeds), "seed", "1"),
        "layer": (("layer",), np.arange(1, depth + 1), "hidden layer", "1"),
        "quantile": (("quantile",), np.array(QUANTILES), "probability", "1"),
        "activation_bin_edge": (("edge",), np.linspace(-1, 1, BINS + 1), "edge", "1"),
    }


def _dataset(variables: Mapping[str, Entry], coordinates: Mapping[str, Entry]) -> xr.Dataset:
    def build(entries: Mapping[str, Entry]) -> dict[str, xr.Variable]:
        return {
            name: xr.Variable(dims, np.array(values), {"long_name": text, "units": units})
            for name, (dims, values, text, units) in entries.items()
        }

    return xr.Dataset(build(variables), build(coordinates))


def with_attrs(tree: xr.DataTree, **attrs: object) -> xr.DataTree:
    """``tree`` with those attributes of the whole beside its own."""
    return schema.build(schema.groups(tree), {**tree.attrs, **attrs})
