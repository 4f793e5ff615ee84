"""A small made-up ``baseline`` part; see ``tests.made_up``."""

import numpy as np
import xarray as xr

from experiments.results.schema import labelled

C = (1.0, 10.0, 100.0)
GAMMA = (0.5, 1.0, 2.0)
RATES = (0.01, 0.1)
START_ERROR = 8 / 9


def baseline_part(
    *,
    seeds: int = 3,
    svm: float = 0.5947,
    net: float = 0.5047,
    training_examples: int = 100_000,
    width: int = 1000,
    updates: int = 1_000_000,
    points: int = 6,
    noise: float = 0.003,
) -> xr.Dataset:
    """An RBF SVM and a net on the same sample; ``svm`` and ``net`` are their test errors.

    The best C and gamma are the middle ones. The net falls to its error exponentially, at the
    second rate lower than at the first, and is stopped one evaluation point before the end.
    """
    random = np.random.default_rng(5)

    def noisy(error: float) -> np.ndarray:
        return error + noise * random.standard_normal(seeds)

    svm_error, net_error = noisy(svm), noisy(net)
    grid = 0.02 * np.add.outer(np.abs(np.arange(3) - 1), np.abs(np.arange(3) - 1))
    time = np.linspace(0, 1, points + 1)
    fall = np.exp(-time / 0.2)
    fall[-1] = fall[-2] + 0.01  # overfitting
    fall = (fall - fall[-2]) / (fall[0] - fall[-2])
    reached = net_error[:, None] + np.array([0.05, 0.0])
    course = reached[..., None] + (START_ERROR - reached[..., None]) * fall
    update = np.round(time * updates).astype(int)
    per_seed, sweep = ("seed",), ("seed", "learning_rate", "update")
    variables = {
        "svm_validation_error": (("seed", "c", "gamma"), svm_error[:, None, None] + grid),
        "svm_chosen_c": (per_seed, np.full(seeds, C[1])),
        "svm_chosen_gamma": (per_seed, np.full(seeds, GAMMA[1])),
        "svm_test_error": (per_seed, svm_error),
        "svm_support_vectors": (per_seed, np.full(seeds, training_examples)),
        "net_validation_error": (sweep, course),
        "net_test_error_course": (sweep, course),
        "net_chosen_learning_rate": (per_seed, np.full(seeds, RATES[1])),
        "net_chosen_update": (per_seed, np.full(seeds, update[-2])),
        "net_test_error": (per_seed, net_error),
    }
    return xr.Dataset(
        {name: labelled(name, dims, values) for name, (dims, values) in variables.items()},
        {
            "seed": np.arange(seeds),
            "c": np.array(C),
            "gamma": np.array(GAMMA),
            "learning_rate": np.array(RATES),
            "update": update,
        },
        {
            "training_examples": training_examples,
            "selection_examples": min(10_000, training_examples),
            "validation_examples": 10_000,
            "test_examples": 10_000,
            "width": width,
            "depth": 5,
            "updates": updates,
            "batch_size": 10,
        },
    )
