"""The studies: networks trained side by side on one data set, each declared once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from experiments.networks import DENOISING, NetworkSpec

TABLE_1 = (
    NetworkSpec("softsign", "standard"),
    NetworkSpec("softsign", "normalized"),
    NetworkSpec("tanh", "standard"),
    NetworkSpec("tanh", "normalized"),
    NetworkSpec("sigmoid", "standard"),
)
SIGMOID_4 = NetworkSpec("sigmoid", "standard", depth=4)
PRETRAINED = NetworkSpec("tanh", DENOISING)
GAUSSIAN_SCALES = (0.001, 0.01, 0.03, 0.1, 0.3)
MODERN_UNITS = ("tanh", "softsign", "relu", "gelu")
MODERN_SCHEMES = (
    *("standard", "normalized", "pytorch"),
    *("lecun_normal", "he_normal", "orthogonal", "lsuv"),
)


@dataclass(frozen=True)
class Study:
    """A comparison that is a stage, a group of the results, a figure and, but for one, a table.

    Attributes:
      name: what all of these are called in configs and results.
      title: what pages call it.
      networks: those compared.
      sizes: by preset, the settings in which it differs from every other stage that trains, named
        as in a config; ``networks`` there are those of a shorter comparison.
      of_the_paper: whether the paper has it, so that the config ``paper`` runs it.
      left_out_of: presets for which it takes too long.
    """

    name: str
    title: str
    networks: tuple[NetworkSpec, ...]
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    of_the_paper: bool = True
    left_out_of: tuple[str, ...] = ()


_STARTED = tuple(NetworkSpec("tanh", scheme) for scheme in ("standard", "normalized"))
_SECTION_5 = tuple(
    network.replace(**option)
    for option in (
        {},
        {"optimizer": "hessian_diagonal"},
        {"optimizer": "gradient_variance"},
        {"shape": "growing"},
        {"shape": "shrinking"},
    )
    for network in _STARTED
)
_COSTS = tuple(
    network.replace(loss=loss)
    for network in (*_STARTED, TABLE_1[0], TABLE_1[-1])
    for loss in ("quadratic", "cross_entropy")
)
_GAUSSIANS = (*_STARTED, *(NetworkSpec("tanh", f"gaussian({s})") for s in GAUSSIAN_SCALES))
_MODERN = tuple(NetworkSpec(unit, scheme) for unit in MODERN_UNITS for scheme in MODERN_SCHEMES)
_SHORT = {"points": 5, "updates": 7000}

# A question of our own: why some tanh nets stay on Shapeset's plateau, and what saturates first.
# PyTorch's biases have Var[b] = 1 / (3 n), 0.0033 for 100 units.
KERNEL_VARIANCES = ("1/6", "1/3", "0.6", "1", "1.7", "3")  # n Var[W]
BIAS_VARIANCES = ("0", "0.003", "0.03", "0.3")
_PLATEAU = (
    *(
        NetworkSpec("tanh", f"uniform({kernels},{biases})")
        for biases in BIAS_VARIANCES
        for kernels in KERNEL_VARIANCES
    ),
    NetworkSpec("tanh", "pytorch"),
)
STARTS = ("standard", "pytorch", "normalized", "uniform(1,0.003)")
_ADAM = (
    *(
        NetworkSpec("tanh", scheme, optimizer=optimizer)
        for optimizer in ("sgd", "adam")
        for scheme in STARTS
    ),
    *(NetworkSpec("tanh", scheme, 10, "adam") for scheme in ("standard", "normalized")),
)
_FIRST_LAYER = tuple(
    NetworkSpec("tanh", "standard").replace(**option)
    for option in (
        {},
        {"optimizer": "first_frozen"},
        {"optimizer": "first_slow"},
        {"pixels": "whitened"},
    )
)
_FIVE_SEEDS = {"seeds": 5, "spacing": "early"}

_ALL = (
    Study(
        "selection",
        "choice of depth and learning rate",
        TABLE_1,
        {
            "smoke": {"networks": TABLE_1[:2], "depths": (1, 2), "updates": 40},
            "quick": {**_SHORT, "depths": (1, 2, 3, 4, 5), "updates": 8000},
            "paper": {"depths": (1, 2, 3, 4, 5), "updates": 5_000_000},
        },
        left_out_of=("quick",),  # 25 networks by 15 programs: a few minutes by itself
    ),
    Study(
        "section5",
        "section 5",
        _SECTION_5,
        # Few, but of each kind one.
        {"smoke": {"networks": _SECTION_5[::2]}, "quick": _SHORT},
    ),
    Study(
        "costs",
        "both costs",
        _COSTS,
        {
            "smoke": {"networks": _COSTS[:2]},
            # A sigmoid net of 5 layers learns nothing in a short run.
            "quick": {**_SHORT, "networks": _COSTS[:-2]},
        },
    ),
    Study(
        "gaussians",
        "Gaussian scales",
        _GAUSSIANS,
        {"smoke": {"networks": _GAUSSIANS[:4]}, "quick": _SHORT},
        of_the_paper=False,
    ),
    Study(
        "modern",
        "today's initialisations",
        _MODERN,
        {"smoke": {"networks": _MODERN[:2]}, "quick": {**_SHORT, "updates": 4000}},
        of_the_paper=False,
    ),
    Study(
        "plateau",
        "our question (a): what takes a tanh net off its plateau",
        _PLATEAU,
        {
            "smoke": {"networks": _PLATEAU[:2]},
            # Long enough for the standard initialisation, which takes 9000 to 15 000 updates;
            # small sets to measure on, since that is half of the time.
            "quick": {
                **_FIVE_SEEDS,
                **{"updates": 20_000, "points": 40, "learning_rates": (0.03,)},
                **{"validation_examples": 500, "test_examples": 2000, "probe_examples": 100},
            },
        },
        of_the_paper=False,
    ),
    Study(
        "adam",
        "our question (b): initialisation with Adam",
        _ADAM,
        {
            "smoke": {"networks": _ADAM[:8:4]},
            "quick": {
                **_FIVE_SEEDS,
                **{"updates": 20_000, "points": 40, "learning_rates": (0.01, 0.03, 0.1)},
                "optimizer_learning_rates": {"adam": (1e-4, 3e-4, 1e-3)},
                **{"validation_examples": 1000, "test_examples": 2000, "probe_examples": 100},
            },
        },
        of_the_paper=False,
    ),
    Study(
        "first_layer",
        "our question (c): why layer 1 saturates first",
        _FIRST_LAYER,
        {
            # Layers 1 to 4 of the usual net have begun to saturate by 50 000 updates at this rate;
            # with layer 1 frozen or slow a net may leave its plateau after 50 000 only.
            "quick": {
                **_FIVE_SEEDS,
                **{"updates": 200_000, "points": 40, "learning_rates": (0.1,)},
                **{"validation_examples": 1000, "test_examples": 2000},
            },
        },
        of_the_paper=False,
    ),
)
STUDIES: Mapping[str, Study] = MappingProxyType({study.name: study for study in _ALL})
