"""What a report says, line by line: what was seen, the verdict, and how theory compares."""

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.special import stdtr

from glorot_jax.diagnosis.judging.finding import MEANINGS, NOTE, SEVERE, WARNING, Finding
from glorot_jax.diagnosis.reporting.names import Names
from glorot_jax.diagnosis.reporting.table import theory_gap

UNNAMED = "Signals of a model"
# A sentence on a draw of the weights is wrong once in a thousand reports.
CHANCE = 1e-3
ALIKE = 1.005  # singular values whose largest is so many times the smallest, or less
LEAST_UNITS = 64  # of a site, for the spread of its units to say how far their mean strays


def severity_in_words(finding: Finding) -> str:
    """Severity, and what happens to a net of which that is said."""
    if finding.severity == NOTE:
        return NOTE
    return f"{finding.severity} ({MEANINGS[finding.severity]})"


def seen(data: xr.Dataset) -> list[str]:
    """What of the model is seen, and each thing that isn't; empty where that wasn't counted."""
    sentence = data.attrs.get("seen", "")
    return [sentence, *json.loads(data.attrs.get("unseen", "[]"))] if sentence else []


def sizes(data: xr.Dataset) -> str:
    """Sites, examples and nets."""
    seeds, sites = data.sizes["seed"], data.sizes["site"]
    nets = "1 net" if seeds == 1 else f"means of {seeds} nets"
    return f"{sites} {'site' if sites == 1 else 'sites'}, {data.attrs['examples']} examples, {nets}"


def verdict(data: xr.Dataset, findings: Sequence[Finding]) -> str:
    """All findings in a sentence."""
    severe, warnings = (
        sum(finding.severity == severity for finding in findings) for severity in (SEVERE, WARNING)
    )
    counts = [f"{severe} severe" if severe else ""]
    counts += [f"{warnings} {'warning' if warnings == 1 else 'warnings'}" if warnings else ""]
    count = ", ".join(filter(None, counts))
    if severe:
        return f"it won't train as it is ({count})"
    if warnings:
        return f"it trains, more slowly than it could ({count})"
    if "no verdict" in data.attrs.get("seen", ""):
        return "none, too little of the model is seen"
    return "nothing to find fault with"


def measured(finding: Finding) -> str:
    """What was found beside its limit, and where that comes from; empty where that isn't known."""
    if not finding.source:
        return ""
    if not np.isfinite([finding.value, finding.threshold]).all() or finding.value == 0:
        return finding.source
    return f"{finding.value:.2g}, where the limit is {finding.threshold:.2g}: {finding.source}"


def closing(data: xr.Dataset, names: Names) -> list[str]:
    """What follows the table: theory, the whole Jacobian, what wasn't measured."""
    lines = (against_theory(data, names), through(data), left_out(data))
    return [line for line in lines if line]


def against_theory(data: xr.Dataset, names: Names) -> str:
    """How far q is from what mean field expects, and whether the draw of the weights explains it.

    Only sites of many units, each with weights of its own, are compared: the spread of fewer, or
    of dependent ones, doesn't say how far their mean strays. What varies q multiplies from site to
    site, so that its logarithm strays evenly, around less than that of its mean. The chance of the
    furthest one is multiplied by the number of them (Bonferroni).
    """
    means = data.mean("seed", skipna=True)
    gap = theory_gap(means).values
    noise = means.s_mean_square_noise.values / np.sqrt(data.sizes["seed"])
    units = data.units.values
    compared = np.isfinite(gap) & (noise > 0) & (units >= LEAST_UNITS)
    if not compared.any():
        return ""
    with np.errstate(divide="ignore", invalid="ignore"):
        strayed = np.abs(np.log1p(gap) + np.square(noise) / 2) / noise
        chance = 2 * stdtr(np.maximum(units - 1, 1), -strayed)
    worst = int(np.argmin(np.where(compared, chance, np.inf)))
    count = compared.sum()
    explained = chance[worst] * count > CHANCE
    furthest = f"it is the furthest of {count} sites, and " if count > 1 else ""
    end = f"{furthest}chance explains that" if explained else "these are not random weights"
    way = "above" if gap[worst] > 0 else "below"
    return (
        f"Theory: the mean square of s at {names.cut(str(data.site.values[worst]))} is "
        f"{abs(gap[worst]):.1%} {way} what random weights of these sizes give, and one draw of "
        f"them varies it by {noise[worst]:.1%}: {end}."
    )


def through(data: xr.Dataset) -> str:
    """The Jacobian of the whole net in a line; nothing where it wasn't found."""
    if "whole_sigma_mean" not in data or not np.isfinite(data.whole_sigma_mean).any():
        return ""
    mean, largest, condition = (
        float(data[f"whole_sigma_{name}"].mean()) for name in ("mean", "max", "condition")
    )
    if largest == 0:
        return "Input to output: d output / d x is 0, no gradient leads back to x."
    if not np.isfinite(condition):
        return _through(mean, largest, "some directions of x don't reach the output")
    if condition < ALIKE:
        return (
            f"Input to output: singular values of d output / d x are alike, {mean:.3g} on average."
        )
    least = "" if data.whole_sigma_exact.all() else "at least "
    return _through(mean, largest, f"the smallest is {least}{condition:.3g} times smaller")


def left_out(data: xr.Dataset) -> str:
    """What singular values weren't found of; nothing where all were, or none."""
    text = str(data.attrs.get("spectra", ""))
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _through(mean: float, largest: float, rest: str) -> str:
    return (
        f"Input to output: singular values of d output / d x have mean {mean:.3g} and largest "
        f"{largest:.3g}; {rest}."
    )
