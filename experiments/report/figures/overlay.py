"""What mean field says of networks at initialisation, drawn over what was measured of them."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from experiments.networks import NetworkSpec
from experiments.results.queries import of
from glorot_jax.confidence import mean_interval

# The measured curve is wide and pale under a dashed prediction, so that both are seen.
UNDER: dict[str, Any] = {"lw": 2.2, "alpha": 0.45}
OVER: dict[str, Any] = {"lw": 1.2, "ls": (0, (4, 2))}
ALONE: dict[str, Any] = {"lw": 1.3}
NOTE_SIZE = 9
EXPLAINED = (
    "Dashed, in runs that have it, is mean field, made image by image from the examples' E[x^2] "
    "and the measured Var[W]; the percentage is the largest residual of a layer, measured / "
    "predicted - 1 of the variance, mean over seeds."
)


def expected(initial: xr.Dataset, name: str, spec: NetworkSpec) -> np.ndarray | None:
    """Mean field's value of the variable ``name``; None where it says nothing or wasn't asked."""
    if f"meanfield_{name}" not in initial.variables:
        return None
    values = of(initial, f"meanfield_{name}", spec)
    return values if np.isfinite(values).any() else None


def residuals(
    initial: xr.Dataset, name: str, spec: NetworkSpec, *, power: int = 1
) -> np.ndarray | None:
    """measured / predicted - 1 of the ``power`` of a variable [seed, layer], mean over seeds."""
    theory = expected(initial, name, spec)
    if theory is None:
        return None
    measured = mean_interval(of(initial, name, spec) ** power, axis=0).mean
    known = np.isfinite(theory) & (theory > 0)
    return np.divide(measured, theory**power, out=np.full_like(theory, np.nan), where=known) - 1


def largest(by_layer: np.ndarray | None) -> float:
    """The residual furthest from 0, with its sign; NaN if there is none."""
    known = np.empty(0) if by_layer is None else by_layer[np.isfinite(by_layer)]
    return float(known[np.argmax(np.abs(known))]) if known.size else np.nan


def percent(residual: float) -> str:
    """As it is written in figures: a sign and one decimal."""
    return f"{100 * residual:+.1f}%".replace("-", "\N{MINUS SIGN}")


def note(axes: Axes, symbol: str, by_layer: np.ndarray | None) -> None:
    """Writes the largest residual into the upper left corner, if there is one."""
    residual = largest(by_layer)
    if np.isfinite(residual):
        axes.text(
            0.015,
            0.97,
            f"Var[{symbol}]\n{percent(residual)}",
            transform=axes.transAxes,
            va="top",
            fontsize=NOTE_SIZE,
        )
