"""The maps of mean field on a grid of q, for a script that has no JAX to iterate them.

    python -m experiments.report.panel_table

writes them to ``panel.json``, where the panel has them from, and the panel to ``docs/panel.html``.
"""

import json
import math
from pathlib import Path
from typing import TypedDict

import jax.numpy as jnp
import numpy as np

from experiments.report.panel import TABLE, panel
from glorot_jax.activations import Activation, resolve
from glorot_jax.files import write_text
from glorot_jax.theory import meanfield, spectrum

DOCS = Path(__file__).parents[2] / "docs" / "panel.html"
# The paper's three, and two of today.
SHOWN = ("sigmoid", "tanh", "softsign", "relu", "gelu")
# What the sliders go through; n Var[W] in between is free.
SIGMA_W2 = (0.1, 200.0)
SIGMA_B2 = (0.0, *(digit * 10.0**power for power in range(-4, 0) for digit in (1, 2, 5)), 1.0, 2.0)
POINTS_A_DECADE = 8
# A cubic in ln q needs two points on either side.
_MARGIN = 2
_CRITICAL = 5e-4


class Maps(TypedDict):
    """An activation's maps for s ~ N(0, q), [points], as natural logarithms.

    ``square``: E[f(s)^2]; ``slope_square``: E[f'(s)^2], to 0.2% for gelu at q above 1e3, where s is
    in the hundreds, and to 3e-5 everywhere else; ``singular``: the mean singular value of
    diag(f'(s)) W at n Var[W] = 1. ``critical``: the critical n Var[W] of each ``sigma_b2``, None
    where there is none to which a net leads.
    """

    square: list[float]
    slope_square: list[float]
    singular: list[float]
    critical: list[float | None]


class Table(TypedDict):
    """ln q of the grid's first point and from point to point; ``sigma_b2`` of the slider."""

    start: float
    step: float
    sigma_w2: tuple[float, float]
    sigma_b2: tuple[float, ...]
    activations: dict[str, Maps]


def table() -> Table:
    """The maps of the activations shown, as far as a net of the sliders' values can get."""
    return Table(
        start=math.log(meanfield.SMALLEST_Q),
        step=math.log(10) / POINTS_A_DECADE,
        sigma_w2=SIGMA_W2,
        sigma_b2=SIGMA_B2,
        activations={name: maps(resolve(name), grid(resolve(name))) for name in SHOWN},
    )


def grid(activation: Activation, /) -> np.ndarray:
    """q [points] from 1e-12 up to the largest that any net of the sliders' values can have.

    It ends early for a bounded activation, whose slopes far out are beyond the quadrature.
    """
    low, high = np.log10(meanfield.SMALLEST_Q), np.log10(meanfield.LARGEST_Q)
    whole = np.logspace(low, high, round((high - low) * POINTS_A_DECADE) + 1)
    largest = float(meanfield.expectation(lambda s: activation(s) ** 2, meanfield.LARGEST_Q))
    reached = SIGMA_W2[1] * max(1.0, largest) + SIGMA_B2[-1]
    return whole[: np.searchsorted(whole, reached) + _MARGIN]


def maps(activation: Activation, q: np.ndarray, /) -> Maps:
    """The maps of one activation at ``q`` [points]."""
    at = jnp.asarray(q, jnp.result_type(float))
    singular = [spectrum.mean_singular_value(activation, each, 1.0) for each in q]
    return Maps(
        square=_logarithms(meanfield.expectation(lambda s: activation(s) ** 2, at)),
        slope_square=_logarithms(meanfield.slope_square(activation, at)),
        singular=_logarithms(singular),
        critical=_critical(activation),
    )


def _critical(activation: Activation) -> list[float | None]:
    """Left out where the critical fixed point is not the one that the first layer leads to."""

    def leads_there(sigma_w2: float, sigma_b2: float) -> bool:
        first = sigma_w2 + sigma_b2
        q = meanfield.fixed_point(activation, sigma_w2, sigma_b2, start=first)
        return abs(float(meanfield.chi(activation, q, sigma_w2)) - 1) < _CRITICAL

    line = meanfield.critical_line(activation, np.asarray(SIGMA_B2))
    return [
        float(f"{w:.6g}") if SIGMA_W2[0] <= w <= SIGMA_W2[1] and leads_there(float(w), b) else None
        for w, b in zip(line, SIGMA_B2, strict=True)
    ]


def _logarithms(values: object) -> list[float]:
    return [round(float(value), 6) for value in np.log(np.asarray(values, np.float64))]


def write() -> None:
    """Writes panel.json and docs/panel.html."""
    write_text(TABLE, json.dumps(table(), separators=(",", ":")) + "\n")
    write_text(DOCS, panel())


if __name__ == "__main__":
    write()
