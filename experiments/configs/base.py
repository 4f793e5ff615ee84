"""What every config is composed from: the stages, and their sizes by preset."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ml_collections import ConfigDict

from experiments.data.registry import DATA_SETS, SHAPESET, STAND_IN
from experiments.errors import choose
from experiments.exhibits import EXHIBITS
from experiments.networks import NetworkSpec
from experiments.studies import PRETRAINED, SIGMOID_4, STUDIES, TABLE_1

PRESETS: Mapping[str, str] = MappingProxyType(
    {
        "smoke": "a minute or two; proves only that everything runs",
        "quick": "a few minutes on two CPU cores",
        "paper": "the paper's own sizes, for a GPU or TPU",
    }
)
WHOLE = "paper"  # the config of everything
ONLINE = "online"  # the stage that trains on drawn examples; others are called as their data set
SET_STAGES = (
    ONLINE,
    *(info.name for info in DATA_SETS.values() if info.load and not info.stands_in_for),
)
TRAINED = (*SET_STAGES, *STUDIES)
NOT_OF_THE_PAPER = ("fashion_mnist", *(s.name for s in STUDIES.values() if not s.of_the_paper))


def stages(preset: str) -> tuple[str, ...]:
    """The stages of the whole paper that fit the preset, in the order in which they run."""
    too_long = {study.name for study in STUDIES.values() if preset in study.left_out_of}
    every = ("examples", "surface", "initial", *TRAINED, "baseline")
    return tuple(stage for stage in every if stage not in {*NOT_OF_THE_PAPER, *too_long})


def paper(preset: str) -> ConfigDict:
    """The whole paper: every figure, table and sentence that fits the preset.

    Raises:
      ConfigError: there is no such preset.
    """
    choose(preset, PRESETS, field="preset")
    return ConfigDict(
        {
            "name": WHOLE,
            "preset": preset,
            "seed": 0,
            "stages": stages(preset),
            "data_dir": "",
            "checkpoint_seconds": 15.0,
            # Half the time of a short run is compiling; slow programs are quick to compile.
            "compile_fast": preset == "smoke",
            "pixel_range": DATA_SETS[SHAPESET].pixel_range,
            # Dotted paths, my_package.my_module:name, measured and trained beside the paper's.
            "custom_initializers": (),
            "custom_activations": (),
            "examples": {"count": 18, "sets": ("small_imagenet",)},
            "surface": _surface(preset),
            "initial": _initial(preset),
            ONLINE: _online(preset),
            **{name: _finite(name, preset) for name in SET_STAGES if name != ONLINE},
            **{name: _study(name, preset) for name in STUDIES},
            "baseline": _baseline(preset),
        }
    )


def figure(key: str, preset: str) -> ConfigDict:
    """One figure, table or study alone, with only the networks it shows.

    Raises:
      ConfigError: there is no such figure or preset.
    """
    exhibit = EXHIBITS[choose(key, EXHIBITS, field="config")]
    config = paper(preset)
    config.name, config.stages = key, exhibit.stages
    if exhibit.networks:
        config.online.conditions = _texts(exhibit.networks)
    if exhibit.activations:
        config.initial.activations = exhibit.activations
    if exhibit.initializers:
        config.initial.initializers = exhibit.initializers
        config.initial.seeds = 2  # many rows: decompositions take most of the time
    if exhibit.stages == (key,) and key in SET_STAGES:
        config[key].optional = False
    return config


def named(name: str, preset: str) -> ConfigDict:
    """The config ``paper`` or that of one exhibit.

    Raises:
      ConfigError: there is no such config or preset.
    """
    choose(name, (WHOLE, *EXHIBITS), field="config")
    return paper(preset) if name == WHOLE else figure(name, preset)


def _texts(networks: Iterable[NetworkSpec]) -> tuple[str, ...]:
    return tuple(network.text for network in networks)


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
        "dataset": SHAPESET,
        "activations": ("sigmoid", "tanh", "softsign"),
        "initializers": ("standard", "normalized", "gaussian"),
        "depth": 5,
        "width": 1000 if full_size else 16,
        "examples": 300 if full_size else 50,
        "seeds": {"smoke": 2, "quick": 3, "paper": 20}[preset],
        "jacobian_examples": {"smoke": 2, "quick": 1, "paper": 10}[preset],
        "mean_examples": 16 if full_size else 2,
        "bins": 200,
    }


def _training(preset: str) -> dict:
    """What every stage that trains has."""
    return {
        "dataset": SHAPESET,
        "fallback": "",
        "download": True,
        "optional": False,  # left out, and said so, where its data can't be had
        "conditions": _texts(TABLE_1),
        "depths": (),  # every condition at each of these; () as the conditions say
        "loss": "cross_entropy",
        "batch_size": 10,
        "width": {"smoke": 16, "quick": 100, "paper": 1000}[preset],
        "widths": (),
        # A short run wants larger steps.
        "learning_rates": (0.01, 0.03, 0.1) if preset == "paper" else (0.03, 0.1),
        "optimizer_learning_rates": {
            "gradient_variance": (1e-4, 3e-4, 1e-3) if preset == "paper" else (3e-4, 1e-3),
            "adam": (1e-4, 3e-4, 1e-3) if preset == "paper" else (3e-4, 1e-3),
        },
        "network_learning_rates": {},  # by network, as in conditions
        "seeds": {"smoke": 2, "quick": 3, "paper": 4}[preset],
        "block_size": {"smoke": 100, "quick": 1000, "paper": 10_000}[preset],
        "updates": {"smoke": 40, "quick": 5000, "paper": 5_000_000}[preset],
        "points": {"smoke": 4, "quick": 10, "paper": 250}[preset],
        "spacing": "even",  # or "early", denser at the start
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
        "conditions": _texts((*TABLE_1[:-1], SIGMOID_4, TABLE_1[-1], PRETRAINED)),
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
        "fallback": STAND_IN.get(name, ""),
        "download": name == "mnist" or preset == "paper",
        "optional": name != "mnist",
        "conditions": _texts(TABLE_1[2:4] if preset == "smoke" else TABLE_1),
        "block_size": 100 if preset == "smoke" else 1000,  # also fits the stand-ins
    }


def _study(name: str, preset: str) -> dict:
    study = STUDIES[name]
    sizes = dict(study.sizes.get(preset, {}))
    networks = sizes.pop("networks", study.networks)
    return {**_training(preset), "conditions": _texts(networks), **sizes}


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
