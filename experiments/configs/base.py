"""What every config is composed from: the presets' sizes and the stages each figure needs.

Presets: ``smoke`` runs in a minute or two and proves only that everything runs; ``quick`` is made
for two CPU cores and a few minutes; ``paper`` has the paper's own sizes, for a GPU or TPU.
"""

from collections.abc import Mapping

from ml_collections import ConfigDict

from experiments.errors import choose
from experiments.results.schema import STUDIES

PRESETS = ("smoke", "quick", "paper")

# Stages that train on a data set of the paper, or on one like it; ``online`` on drawn examples.
SETS = ("online", "mnist", "cifar10", "small_imagenet", "fashion_mnist")
TRAINED = (*SETS, *STUDIES)

# What each config runs. ``paper`` leaves out what isn't the paper's, and what would take too long.
FIGURE_STAGES: Mapping[str, tuple[str, ...]] = {
    "fig01": ("examples",),
    "fig02": ("online",),
    "fig03": ("online",),
    "fig04": ("online",),
    "fig05": ("surface",),
    "fig06": ("initial",),
    "fig07": ("initial",),
    "fig08": ("initial",),
    "eq17": ("initial",),
    "variances": ("initial",),
    "phase": ("initial",),
    "fig09": ("online",),
    "fig10": ("online",),
    "fig11": ("online",),
    "fig12": ("mnist", "cifar10"),
    "table1": ("online", "mnist", "cifar10", "small_imagenet"),
    "pretraining": ("online",),
    "selection": ("selection",),
    "section5": ("section5",),
    "costs": ("costs",),
    "gaussians": ("gaussians",),
    "modern": ("initial", "modern"),
    "baseline": ("baseline",),
    "fashion_mnist": ("fashion_mnist",),
}
PAPER_STAGES = (
    *("examples", "surface", "initial", "online", "mnist", "cifar10", "small_imagenet"),
    *("selection", "section5", "costs", "baseline"),
)
# 25 networks by 15 programs: a few minutes by itself.
TOO_LONG_FOR_QUICK = ("selection",)

TABLE_1 = (
    "softsign standard",
    "softsign normalized",
    "tanh standard",
    "tanh normalized",
    "sigmoid standard",
)
PRETRAINED = "tanh denoising"
FIGURE_CONDITIONS = {
    "fig02": ("sigmoid standard 4", "sigmoid standard"),
    "fig03": ("tanh standard", "softsign standard"),
    "fig04": ("tanh standard", "softsign standard"),
    "fig09": ("tanh standard", "tanh normalized"),
    "fig10": ("tanh normalized", "softsign standard"),
    "table1": TABLE_1,
    "pretraining": ("tanh standard", "tanh normalized", PRETRAINED),
}
FIGURE_ACTIVATIONS = {
    **dict.fromkeys(("fig07", "fig08", "variances"), ("tanh",)),
    "modern": ("tanh", "softsign", "relu", "gelu"),
}
MODERN_STARTS = (
    *("standard", "normalized", "pytorch"),
    *("lecun_normal", "he_normal", "orthogonal", "lsuv"),
)


def paper(preset: str) -> ConfigDict:
    """The whole paper: every figure, table and sentence that fits the preset."""
    choose(preset, PRESETS, field="preset")
    return ConfigDict(
        {
            "name": "paper",
            "preset": preset,
            "seed": 0,
            "stages": tuple(
                stage
                for stage in PAPER_STAGES
                if preset != "quick" or stage not in TOO_LONG_FOR_QUICK
            ),
            "data_dir": "",
            "checkpoint_seconds": 15.0,
            # Half the time of a short run is compiling; slow programs are quick to compile.
            "compile_fast": preset == "smoke",
            "pixel_range": (-1.0, 1.0),
            # Dotted paths, my_package.my_module:name, measured and trained beside the paper's.
            "own_initializers": (),
            "own_activations": (),
            "examples": {"count": 18, "sets": ("small_imagenet",)},
            "surface": _surface(preset),
            "initial": _initial(preset),
            "online": _online(preset),
            **{name: _finite(name, preset) for name in SETS[1:]},
            **{name: _study(name, preset) for name in STUDIES},
            "baseline": _baseline(preset),
        }
    )


def figure(name: str, preset: str) -> ConfigDict:
    """One figure, table or study alone, with only the networks it shows."""
    config = paper(preset)
    config.name = choose(name, FIGURE_STAGES, field="figure")
    config.stages = FIGURE_STAGES[name]
    config.initial.activations = FIGURE_ACTIVATIONS.get(name, config.initial.activations)
    config.online.conditions = FIGURE_CONDITIONS.get(name, config.online.conditions)
    if name == "modern":
        config.initial.initializers = MODERN_STARTS
        config.initial.seeds = 2  # 28 rows: decompositions take most of the time
    if len(config.stages) == 1 and name in SETS:
        config[name].optional = False
    return config


def _surface(preset: str) -> dict:
    return {
        "nets": {"smoke": 2, "quick": 20, "paper": 100}[preset],
        "grid": {"smoke": 15, "quick": 61, "paper": 121}[preset],
        "examples": 100,
        "reach": 4.0,
    }


def _initial(preset: str) -> dict:
    full_size = preset != "smoke"
    return {
        "dataset": "shapeset",
        "activations": ("sigmoid", "tanh", "softsign"),
        "initializers": ("standard", "normalized", "gaussian"),
        "depth": 5,
        "width": 1000 if full_size else 16,
        "examples": 300 if full_size else 50,
        "seeds": {"smoke": 2, "quick": 3, "paper": 20}[preset],
        "jacobian_examples": {"smoke": 2, "quick": 1, "paper": 10}[preset],
        "bins": 200,
    }


def _training(preset: str) -> dict:
    """What every stage that trains has."""
    return {
        "dataset": "shapeset",
        "fallback": "",
        "download": True,
        "optional": False,  # left out, and said so, where its data can't be had
        "conditions": TABLE_1,
        "depths": (),  # every condition at each of these; () as the conditions say
        "loss": "cross_entropy",
        "batch_size": 10,
        "width": {"smoke": 16, "quick": 100, "paper": 1000}[preset],
        "widths": (),
        # A short run wants larger steps.
        "learning_rates": (0.01, 0.03, 0.1) if preset == "paper" else (0.03, 0.1),
        "optimizer_learning_rates": {
            "hessian_diagonal": (0.001, 0.003, 0.01) if preset == "paper" else (0.003, 0.01),
            "gradient_variance": (0.001, 0.003, 0.01) if preset == "paper" else (0.003, 0.01),
        },
        "seeds": {"smoke": 2, "quick": 3, "paper": 4}[preset],
        "block_size": {"smoke": 100, "quick": 1000, "paper": 10_000}[preset],
        "updates": {"smoke": 40, "quick": 5000, "paper": 5_000_000}[preset],
        "points": {"smoke": 4, "quick": 10, "paper": 250}[preset],
        "probe_examples": 50 if preset == "smoke" else 300,
        "bins": 100,
        "validation_examples": {"smoke": 100, "quick": 2000, "paper": 10_000}[preset],
        "test_examples": {"smoke": 100, "quick": 5000, "paper": 10_000}[preset],
        "pretraining": {
            # The squared error's curvature grows with the width.
            "learning_rate": 0.001 if preset == "paper" else 0.003,
            "corruption": 0.25,
            "updates": {"smoke": 20, "quick": 5000, "paper": 500_000}[preset],  # of each layer
            "points": {"smoke": 2, "quick": 5, "paper": 25}[preset],
        },
    }


def _online(preset: str) -> dict:
    return {
        **_training(preset),
        "conditions": (*TABLE_1[:-1], "sigmoid standard 4", TABLE_1[-1], PRETRAINED),
        "updates": {"smoke": 40, "quick": 20_000, "paper": 5_000_000}[preset],
        "points": {"smoke": 4, "quick": 16, "paper": 250}[preset],
    }


def _finite(name: str, preset: str) -> dict:
    # Only MNIST's few megabytes are fetched for a run of a few minutes.
    short = {"updates": 3000, "points": 5}
    return {
        **_training(preset),
        **(short if preset == "quick" else {}),
        "dataset": name,
        "fallback": {"mnist": "digits", "small_imagenet": "imagenette"}.get(name, ""),
        "download": name == "mnist" or preset == "paper",
        "optional": name != "mnist",
        "conditions": ("tanh standard", "tanh normalized") if preset == "smoke" else TABLE_1,
        "block_size": 100 if preset == "smoke" else 1000,  # also fits the stand-ins
    }


def _study(name: str, preset: str) -> dict:
    settings = {**_training(preset), "conditions": _STUDY_CONDITIONS[name]}
    if preset == "quick":
        settings |= {"points": 5, "updates": 4000 if name == "modern" else 7000}
    if name == "selection":
        settings["depths"] = (1, 2, 3, 4, 5) if preset != "smoke" else (1, 2)
        settings["updates"] = {"smoke": 40, "quick": 8000, "paper": 5_000_000}[preset]
    shown = _SHORTENED.get((preset, name), slice(None))
    settings["conditions"] = settings["conditions"][shown]
    return settings


_SHORTENED = {
    ("quick", "costs"): slice(6),  # a sigmoid net of 5 layers learns nothing in a short run
    # Few, but of each kind one.
    ("smoke", "selection"): slice(2),
    ("smoke", "section5"): slice(0, None, 2),
    ("smoke", "costs"): slice(2),
    ("smoke", "gaussians"): slice(4),
    ("smoke", "modern"): slice(2),
}
_METHODS = ("optimizer=hessian_diagonal", "optimizer=gradient_variance")
_LAYERS = ("shape=growing", "shape=shrinking")
_STUDY_CONDITIONS = {
    "selection": TABLE_1,
    "section5": tuple(
        f"tanh {start} {option}".strip()
        for option in ("", *_METHODS, *_LAYERS)
        for start in ("standard", "normalized")
    ),
    "costs": tuple(
        f"{net} loss={loss}"
        for net in ("tanh standard", "tanh normalized", "softsign standard", "sigmoid standard")
        for loss in ("quadratic", "cross_entropy")
    ),
    "gaussians": (
        "tanh standard",
        "tanh normalized",
        *(f"tanh gaussian({scale})" for scale in (0.001, 0.01, 0.03, 0.1, 0.3)),
    ),
    "modern": tuple(
        f"{unit} {start}"
        for unit in ("tanh", "softsign", "relu", "gelu")
        for start in MODERN_STARTS
    ),
}


def _baseline(preset: str) -> dict:
    return {
        "training_examples": {"smoke": 200, "quick": 2000, "paper": 100_000}[preset],
        "selection_examples": {"smoke": 100, "quick": 1000, "paper": 10_000}[preset],
        "validation_examples": {"smoke": 100, "quick": 1000, "paper": 10_000}[preset],
        "test_examples": {"smoke": 100, "quick": 2000, "paper": 10_000}[preset],
        "seeds": {"smoke": 2, "quick": 3, "paper": 3}[preset],
        "svm_c": (1.0, 10.0) if preset == "smoke" else (1.0, 10.0, 100.0),
        "svm_gamma": (0.5, 1.0) if preset == "smoke" else (0.5, 1.0, 2.0),
        "width": {"smoke": 16, "quick": 100, "paper": 1000}[preset],
        "learning_rates": (0.01, 0.03, 0.1),
        "updates": {"smoke": 40, "quick": 5000, "paper": 1_000_000}[preset],
        "points": {"smoke": 4, "quick": 10, "paper": 100}[preset],
        "batch_size": 10,
        "block_size": {"smoke": 100, "quick": 1000, "paper": 10_000}[preset],
    }
