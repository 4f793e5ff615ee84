"""Nodes and weights of Gauss' rules, each computed once."""

from functools import cache

import numpy as np


@cache
def legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights [n] of Gauss' rule for a constant weight on [-1, 1]."""
    return np.polynomial.legendre.leggauss(n)


@cache
def half_gauss(power: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights [n] of Gauss' rule for u^power exp(-u^2/2) on u > 0, summing to 1.

    Golub and Welsch 1969: from the recurrence of the orthogonal polynomials, found by Stieltjes'
    procedure on a much finer rule.
    """
    # exp(-u^2 / 2) at 40 is far below what the polynomials could lift, their nodes lying below 18.
    panels, panel = 20, 2.0
    fine, mass = legendre(n)
    u = (panel * (np.arange(panels)[:, None] + (fine + 1) / 2)).ravel()
    mass = np.tile(mass, panels)
    mass = mass * u**power * np.exp(-(u**2) / 2)
    mass /= mass.sum()
    previous, current, step = np.zeros_like(u), np.ones_like(u), 0.0
    centres, steps = [], []
    for _ in range(n):
        centres.append(np.sum(mass * u * current**2))
        following = (u - centres[-1]) * current - step * previous
        step = np.sqrt(np.sum(mass * following**2))
        steps.append(step)
        previous, current = current, following / step
    values, vectors = np.linalg.eigh(
        np.diag(centres) + np.diag(steps[:-1], 1) + np.diag(steps[:-1], -1)
    )
    return values, vectors[0] ** 2
