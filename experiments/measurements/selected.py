"""Model selection on validation error (section 2.3): the learning rate, then the depth."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from experiments.networks import NetworkSpec
from experiments.results.schema import labelled

LAST = 0.9  # of a run: what comes after is its end
BLOWN_UP = 10.0  # times the cost before training
BEGUN = 0.9  # learning has begun where a tenth of what guessing errs is gone


@dataclass(frozen=True)
class Selection:
    """What was chosen along one axis of candidates.

    ``error`` [.., candidate], NaN for a candidate that can't be chosen; ``chosen`` [..], the index
    of the least, -1 where there is none; ``margin`` [..], the next best error less the least, NaN
    where there is no other.
    """

    error: np.ndarray
    chosen: np.ndarray
    margin: np.ndarray


def at_the_end(validation_error: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """Mean of [.., update] over the measurements in the last tenth of a run, [..].

    A single measurement of a net that is still learning is off by a point or so.
    """
    return validation_error[..., updates >= LAST * updates[-1]].mean(axis=-1)


def select(
    validation_error: np.ndarray,
    diverged: np.ndarray,
    *,
    guessing: float = np.inf,
    blown_up: np.ndarray | None = None,
) -> Selection:
    """The learning rate of least mean validation error at the end of training.

    Where no rate has learned anything yet the choice would be between equal constants; it is then
    the largest rate at which no seed diverged or was blown up, where there is one.

    Args:
      validation_error: [condition, learning_rate, seed], NaN at rates that were not tried; rates
        ascending.
      diverged: the same shape; a rate at which any seed diverged is never chosen.
      guessing: the error of always giving the likeliest answer.
      blown_up: the same shape; where the numbers are finite and the net is worse than untrained.
    """
    error = np.where(diverged.any(axis=2), np.nan, validation_error.mean(axis=2))
    selection = _least(error)
    known = np.isfinite(error)
    learned = np.where(known, error, np.inf).min(axis=1) < BEGUN * guessing
    sound = known if blown_up is None else known & ~blown_up.any(axis=2)
    sound = np.where(sound.any(axis=1, keepdims=True), sound, known)
    largest = np.where(sound, np.arange(error.shape[1]), -1).max(axis=1)
    return replace(selection, chosen=np.where(learned, selection.chosen, largest))


def _least(error: np.ndarray) -> Selection:
    known = np.where(np.isnan(error), np.inf, error)
    none = np.isnan(error).all(axis=-1)
    ranked = np.sort(known, axis=-1)
    second = ranked[..., 1] if error.shape[-1] > 1 else np.full(none.shape, np.inf)
    with np.errstate(invalid="ignore"):
        margin = np.where(np.isfinite(second), second - ranked[..., 0], np.nan)
    return Selection(error, np.where(none, -1, np.argmin(known, axis=-1)), margin)


def choose_depth(trained: xr.Dataset) -> xr.Dataset:
    """``trained``, every model at every depth, with the depth that each model is chosen at.

    The depth is that of least mean validation error, each depth at its own best learning rate; see
    group ``selection`` in ``experiments/results/schema.py``.
    """
    activations, initializers = trained["activation"].values, trained["initializer"].values
    models = list(dict.fromkeys(zip(activations, initializers, strict=True)))
    depths = np.unique(trained["depth"].values)
    place = {
        key: index
        for index, key in enumerate(
            zip(activations, initializers, trained["depth"].values, strict=True)
        )
    }
    rows = np.array([[place[(*model, depth)] for depth in depths] for model in models])
    rate_error = trained["selection_error"].values
    known = np.isfinite(rate_error).any(axis=1)
    best = np.where(known, np.where(np.isnan(rate_error), np.inf, rate_error).min(axis=1), np.nan)
    selection = _least(best[rows])
    chosen = selection.chosen
    test_error = trained["final_test_error"].values[rows[np.arange(len(models)), chosen]]
    variables = {
        "depth_error": (("model", "candidate_depth"), selection.error),
        "chosen_depth": (("model",), np.where(chosen >= 0, depths[chosen], np.nan)),
        "depth_margin": (("model",), selection.margin),
        "chosen_test_error": (
            ("model", "seed"),
            np.where(chosen[:, None] >= 0, test_error, np.nan),
        ),
    }
    return trained.assign(
        {name: labelled(name, dims, values) for name, (dims, values) in variables.items()}
    ).assign_coords(
        model=[NetworkSpec(*model).name for model in models],
        model_activation=("model", [activation for activation, _ in models]),
        model_initializer=("model", [initializer for _, initializer in models]),
        candidate_depth=depths,
    )
