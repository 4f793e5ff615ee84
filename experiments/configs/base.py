"""What every config is composed from: the presets' sizes and the parts each figure needs.

Presets: ``smoke`` runs in under a minute and proves only that everything runs; ``quick`` is made
for two CPU cores and a few minutes; ``paper`` has the paper's own sizes, for a GPU or TPU.
"""

from ml_collections import ConfigDict

from experiments.errors import choose

PRESETS = ("smoke", "quick", "paper")

FIGURE_STAGES = {
    "fig01": "examples",
    "fig02": "online",
    "fig03": "online",
    "fig04": "online",
    "fig05": "surface",
    "fig06": "initial",
    "fig07": "initial",
    "fig08": "initial",
    "eq17": "initial",
    "variances": "initial",
    "fig09": "online",
    "fig10": "online",
    "fig11": "online",
    "fig12": "finite",
    "table1": "online",
}

ONLINE_CONDITIONS = (
    "softsign standard",
    "softsign normalized",
    "tanh standard",
    "tanh normalized",
    "sigmoid standard 4",
    "sigmoid standard",
)
FIGURE_CONDITIONS = {
    "fig02": ("sigmoid standard 4", "sigmoid standard"),
    "fig03": ("tanh standard", "softsign standard"),
    "fig04": ("tanh standard", "softsign standard"),
    "fig09": ("tanh standard", "tanh normalized"),
    "fig10": ("tanh normalized", "softsign standard"),
}

FIGURE_ACTIVATIONS = dict.fromkeys(("fig07", "fig08", "variances"), ("tanh",))


def paper(preset: str) -> ConfigDict:
    """The whole main job: every figure and table."""
    choose(preset, PRESETS, field="preset")
    return ConfigDict(
        {
            "name": "paper",
            "preset": preset,
            "seed": 0,
            "figures": tuple(FIGURE_STAGES),
            "data_dir": "",
            "checkpoint_seconds": 15.0,
            # Half the time of a short run is compiling; slow programs are quick to compile.
            "compile_fast": preset == "smoke",
            "pixel_range": (-1.0, 1.0),
            "examples": {"count": 18},
            "surface": _surface(preset),
            "initial": _initial(preset),
            "online": _online(preset),
            "finite": _finite(preset),
        }
    )


def figure(name: str, preset: str) -> ConfigDict:
    """One figure or table alone, with only the networks it shows."""
    config = paper(preset)
    config.name = choose(name, FIGURE_STAGES, field="figure")
    config.figures = (name,)
    config.initial.activations = FIGURE_ACTIVATIONS.get(name, config.initial.activations)
    config.online.conditions = FIGURE_CONDITIONS.get(name, config.online.conditions)
    return config


def _surface(preset: str) -> ConfigDict:
    return ConfigDict(
        {
            "nets": {"smoke": 2, "quick": 20, "paper": 100}[preset],
            "grid": {"smoke": 15, "quick": 61, "paper": 121}[preset],
            "examples": 100,
            "reach": 4.0,
        }
    )


def _initial(preset: str) -> ConfigDict:
    full_size = preset != "smoke"
    return ConfigDict(
        {
            "activations": ("sigmoid", "tanh", "softsign"),
            "initializers": ("standard", "normalized", "gaussian"),
            "depth": 5,
            "width": 1000 if full_size else 16,
            "examples": 300 if full_size else 50,
            "seeds": {"smoke": 2, "quick": 5, "paper": 20}[preset],
            "jacobian_examples": {"smoke": 2, "quick": 1, "paper": 10}[preset],
            "bins": 200,
        }
    )


def _training(preset: str) -> dict:
    return {
        "loss": "cross_entropy",
        "batch_size": 10,
        "width": {"smoke": 16, "quick": 100, "paper": 1000}[preset],
        "widths": (),
        "seeds": {"smoke": 2, "quick": 3, "paper": 4}[preset],
        "block_size": {"smoke": 100, "quick": 1000, "paper": 10_000}[preset],
        "probe_examples": 50 if preset == "smoke" else 300,
        "bins": 100,
    }


def _online(preset: str) -> ConfigDict:
    return ConfigDict(
        {
            **_training(preset),
            "dataset": "shapeset",
            "conditions": ONLINE_CONDITIONS,
            "learning_rates": (0.01, 0.03, 0.1),
            "updates": {"smoke": 40, "quick": 30_000, "paper": 5_000_000}[preset],
            "points": {"smoke": 4, "quick": 20, "paper": 250}[preset],
            "validation_examples": {"smoke": 100, "quick": 2000, "paper": 10_000}[preset],
            "test_examples": {"smoke": 100, "quick": 5000, "paper": 10_000}[preset],
        }
    )


def _finite(preset: str) -> ConfigDict:
    return ConfigDict(
        {
            **_training(preset),
            "block_size": 100 if preset == "smoke" else 1000,  # also fits the stand-in
            "dataset": "mnist",
            "fallback": "digits",
            "conditions": (
                ("tanh standard", "tanh normalized")
                if preset == "smoke"
                else tuple(c for c in ONLINE_CONDITIONS if not c.endswith("4"))
            ),
            "learning_rates": (0.01, 0.03, 0.1),
            "updates": {"smoke": 40, "quick": 5_000, "paper": 5_000_000}[preset],
            "points": {"smoke": 4, "quick": 10, "paper": 250}[preset],
        }
    )
