"""Gradients during training, tanh: Fig. 9 and section 4.3."""

import numpy as np
import xarray as xr

from experiments.claims.measured import LEVEL, condition, course, later_half, updates
from experiments.claims.verdict import Verdict, decide


def weight_gradients_diverge(part: xr.Dataset, /) -> Verdict:
    """Log of largest over smallest layer in the second half of the run, less that at the start."""
    spread, done = _log_spread(part, "standard")
    later = later_half(spread, done)
    return decide(
        later - spread[:, 0],
        what="rise of the log of largest over smallest layer's std of dC/dw",
        above=0.0,
        numbers={"at the start": spread[:, 0], "second half": later},
    )


def lower_layers_get_larger_gradients(part: xr.Dataset, /) -> Verdict:
    """Log std of dC/dw, layer 1 less the top layer, in the second half of the run."""
    found = condition(part, "tanh", "standard")
    log = np.log(course(found, "weight_gradient_std"))
    lead = later_half(log[..., 0] - log[..., -1], updates(found))
    return decide(
        lead,
        what="log of the std of dC/dw, layer 1 over the top layer",
        above=0.0,
        numbers={"at the start": log[:, 0, 0] - log[:, 0, -1]},
    )


def normalized_stays_together(part: xr.Dataset, /) -> Verdict:
    """Largest over smallest layer per step between layers, in the second half of the run."""
    spread, done = _log_spread(part, "normalized")
    steps = condition(part, "tanh", "normalized").sizes["layer"] - 1
    return decide(
        np.exp(later_half(spread, done) / steps),
        what="largest over smallest layer of the std of dC/dw, per layer, second half of the run",
        below=LEVEL,
        numbers={"at the start": np.exp(spread[:, 0] / steps)},
    )


def normalized_diverges_less(part: xr.Dataset, /) -> Verdict:
    """Log of largest over smallest layer in the second half, standard less normalized."""
    standard, normalized = (
        later_half(*_log_spread(part, name)) for name in ("standard", "normalized")
    )
    return decide(
        standard - normalized,
        what="log of largest over smallest layer's std of dC/dw, standard less normalized",
        above=0.0,
        numbers={"standard": standard, "normalized": normalized},
    )


def backprop_trend_reverses(part: xr.Dataset, /) -> Verdict:
    """Log std of dC/ds, layer 1 less the top layer, in the second half of the run."""
    found = condition(part, "tanh", "standard")
    log, done = np.log(course(found, "backprop_std")), updates(found)
    lead = log[..., 0] - log[..., -1]
    reversed_at = done[np.argmax(lead.mean(axis=0) > 0)] if (lead.mean(axis=0) > 0).any() else None
    return decide(
        later_half(lead, done),
        what="log of the std of dC/ds, layer 1 over the top layer",
        above=0.0,
        numbers={"at the start": lead[:, 0], "first update at which it is reversed": reversed_at},
    )


def _log_spread(part: xr.Dataset, initializer: str) -> tuple[np.ndarray, np.ndarray]:
    """Log of largest over smallest layer of the std of dC/dw, [seed, update]; the updates."""
    found = condition(part, "tanh", initializer)
    log = np.log(course(found, "weight_gradient_std"))
    return np.ptp(log, axis=2), updates(found)
