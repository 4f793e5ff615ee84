"""What is wrong with a net, each finding with its number, its threshold and what would mend it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr

SEVERE, WARNING = "severe", "warning"

# Over the paper's five layers std(s) keeps 0.09 of itself with the standard initialisation and 0.49
# with the normalized one, std(dC/ds) 0.10 and 0.62.
PAPER = 0.2
PAPER_SOURCE = "between the paper's standard (0.09) and normalized (0.5) initialisation, Figs. 6, 7"
# One value is then less than the rounding of the other.
BFLOAT16 = 2.0**-8
BFLOAT16_SOURCE = "bfloat16 keeps 8 bits"
SATURATED = {WARNING: 0.1, SEVERE: 0.5}
SATURATED_SOURCE = {
    WARNING: "three times what tanh shows where s has variance 1",
    SEVERE: "most units pass on less than 5% of the gradient",
}
DEAD = {WARNING: 0.1, SEVERE: 0.5}
DEAD_SOURCE = "our convention: a dead unit gets no gradient from any of the examples"
UNEVEN_SOURCE = {
    WARNING: "a learning rate for one layer is then ten times wrong for another; Fig. 8 is level",
    SEVERE: BFLOAT16_SOURCE,
}
UNEVEN = {WARNING: 10.0, SEVERE: 1 / BFLOAT16}
# Examples must be nearly alike, not only closer than they came.
ALIKE = 0.9


class Finding(NamedTuple):
    """``value`` is what was found over ``threshold``, whose origin ``source`` says.

    ``kind``: a short name; ``severity``: severe or warning; ``sites``: the labels it is about,
    worst first; ``text``: the finding; ``cure``: what would mend it.
    """

    kind: str
    severity: str
    sites: tuple[str, ...]
    value: float
    threshold: float
    source: str
    text: str
    cure: str

    def __str__(self) -> str:
        """One line: severity, what, threshold and its source, cure."""
        return (
            f"{self.severity}: {self.text} (threshold {self.threshold:.3g}: {self.source}). "
            f"{self.cure}"
        )


def find(data: xr.Dataset) -> tuple[Finding, ...]:
    """All findings of a report's data, severe ones first."""
    means = data.mean("seed", skipna=True)
    found = [finding for check in _CHECKS for finding in check(data, means)]
    return tuple(sorted(found, key=lambda finding: finding.severity != SEVERE))


def _not_finite(data: xr.Dataset, means: xr.Dataset) -> list[Finding]:
    what = {"s_mean_square": "the mean square of s", "ds_mean_square": "that of dC/ds"}
    bad = {
        name: [str(site) for site in data.site.values[np.isinf(data[name].values).any(axis=0)]]
        for name in what
    }
    return [
        Finding(
            "not finite",
            SEVERE,
            tuple(sites),
            np.inf,
            float(np.finfo(np.float32).max),
            "the largest float32",
            f"{what[name]} is not finite from {sites[0]} on",
            "Scale the kernels down: gj.calibrate does.",
        )
        for name, sites in bad.items()
        if sites
    ]


def _forward(data: xr.Dataset, means: xr.Dataset) -> list[Finding]:
    return _profile(data, means, "s", "forward", "signal", "from the first hidden site to the last")


def _backward(data: xr.Dataset, means: xr.Dataset) -> list[Finding]:
    return _profile(data, means, "ds", "backward", "gradient", "from the last hidden site down")


def _profile(
    data: xr.Dataset, means: xr.Dataset, name: str, direction: str, noun: str, way: str
) -> list[Finding]:
    """Vanishing or exploding, by a straight line through the logarithm of the profile."""
    hidden = _hidden(means)
    rms = np.sqrt(data[f"{name}_mean_square"].values[:, hidden])
    sites = data.site.values[hidden]
    if np.any(np.nanmax(rms, axis=0, initial=0) == 0) and len(sites):
        gone = sites[np.nanmax(rms, axis=0, initial=0) == 0]
        return [_nothing(direction, noun, gone)]
    with np.errstate(divide="ignore"):
        log = np.nanmean(np.log(np.where(np.isfinite(rms), rms, np.nan)), axis=0)
    known = np.isfinite(log)
    if known.sum() < 2:
        return []
    places = np.arange(len(log))[known]
    slope = np.polyfit(places, log[known], 1)[0] * (1 if direction == "forward" else -1)
    steps = places[-1] - places[0]
    change = float(np.exp(np.clip(slope * steps, -80, 80)))
    small, verb = min(change, 1 / change), "vanishes" if change < 1 else "explodes"
    severity = SEVERE if small < BFLOAT16 else WARNING if small < PAPER else None
    if severity is None:
        return []
    limit, source = (BFLOAT16, BFLOAT16_SOURCE) if severity == SEVERE else (PAPER, PAPER_SOURCE)
    rate = float(np.exp(slope))
    depth = abs(np.log(BFLOAT16) / slope)
    threshold = limit if change < 1 else 1 / limit
    order = sites[known][:: -1 if direction == "forward" else 1]
    return [
        Finding(
            f"{'vanishing' if change < 1 else 'exploding'} {direction}",
            severity,
            tuple(map(str, order)),
            change,
            threshold,
            source,
            f"the {noun} {verb} {direction}: its rms changes by a factor of {rate:.3g} a site, "
            f"{change:.3g} {way}; by {BFLOAT16 if change < 1 else 1 / BFLOAT16:.2g} after "
            f"{depth:.3g} sites",
            _gain_cure(means, hidden),
        )
    ]


def _nothing(direction: str, noun: str, sites: np.ndarray) -> Finding:
    return Finding(
        f"no {noun}",
        SEVERE,
        tuple(map(str, sites)),
        0.0,
        0.0,
        "nothing at all",
        f"no {noun} reaches {_named(sites)}",
        "Look for kernels of 0, dead units or a stop_gradient on the way.",
    )


def _gain_cure(means: xr.Dataset, rows: np.ndarray) -> str:
    gains = means.critical_gain.values[rows]
    sites = means.site.values[rows]
    known = np.isfinite(gains) & (np.abs(np.log(np.where(gains > 0, gains, 1))) > 0.05)
    if not known.any():
        return "gj.calibrate(..., mode='critical') rescales the kernels."
    low, high = gains[known].min(), gains[known].max()
    factor = f"{low:.3g}" if high / low < 1.01 else f"{low:.3g} to {high:.3g}"
    return (
        f"Multiply the kernels of {_named(sites[known])} by {factor}: that makes "
        "n Var[W] E[f'(s)^2] = 1, as gj.calibrate(..., mode='critical') does."
    )


def _named(sites: np.ndarray) -> str:
    names = [str(site) for site in sites]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} .. {names[-1]} ({len(names)})"


def _saturation(data: xr.Dataset, means: xr.Dataset) -> list[Finding]:
    """Of functions that level off on both sides; what relu doesn't let through is no saturation."""
    fraction = means.saturated.where(means.two_sided)
    cure = "Scale its kernel or its input down{gain}, or look for biases that are too large."
    return _fractions("saturation", fraction, SATURATED, SATURATED_SOURCE, means, "saturated", cure)


def _dead(data: xr.Dataset, means: xr.Dataset) -> list[Finding]:
    source = dict.fromkeys(DEAD, DEAD_SOURCE)
    cure = "Raise their biases, centre their inputs, or use a function with a slope on both sides."
    return _fractions("dead units", means.dead, DEAD, source, means, "dead", cure)


def _fractions(
    kind: str,
    fraction: xr.DataArray,
    limits: dict[str, float],
    sources: dict[str, str],
    means: xr.Dataset,
    word: str,
    cure: str,
) -> list[Finding]:
    values = fraction.values
    if not (values > limits[WARNING]).any():
        return []
    worst = int(np.nanargmax(values))
    severity = SEVERE if values[worst] > limits[SEVERE] else WARNING
    over = np.flatnonzero(values > limits[WARNING])
    sites = means.site.values[over[np.argsort(-values[over])]]
    value = float(values[worst])
    gain = means.critical_gain.values[worst]
    factor = f": by {gain:.3g}, n Var[W] E[f'(s)^2] is 1" if np.isfinite(gain) else ""
    more = f", and over {limits[WARNING]:.0%} of {len(sites)} sites" if len(sites) > 1 else ""
    return [
        Finding(
            kind,
            severity,
            tuple(map(str, sites)),
            value,
            limits[severity],
            sources[severity],
            f"{value:.0%} of the units of {sites[0]} are {word}{more}",
            cure.format(gain=factor),
        )
    ]


def _uneven(data: xr.Dataset, means: xr.Dataset) -> list[Finding]:
    ratio = means.dw_ratio.values
    known = np.isfinite(ratio) & (ratio > 0)
    if known.sum() < 2:
        return []
    sites, ratio = means.site.values[known], ratio[known]
    spread = float(ratio.max() / ratio.min())
    severity = SEVERE if spread > UNEVEN[SEVERE] else WARNING if spread > UNEVEN[WARNING] else None
    if severity is None:
        return []
    least, most = str(sites[ratio.argmin()]), str(sites[ratio.argmax()])
    return [
        Finding(
            "uneven gradients",
            severity,
            (least, most),
            spread,
            UNEVEN[severity],
            UNEVEN_SOURCE[severity],
            f"relative to its weights, {most} has {spread:.3g} times the gradient of {least}",
            "gj.calibrate(..., mode='backward'), or a learning rate for each parameter (Adam).",
        )
    ]


def _rank_collapse(data: xr.Dataset, means: xr.Dataset) -> list[Finding]:
    """By distance: two examples of norm 1 with cosine c lie sqrt(2 (1 - c)) apart."""
    hidden = _hidden(means)
    cosine = means.s_cosine.values[hidden]
    known = np.flatnonzero(np.isfinite(cosine))
    if len(known) < 2:
        return []
    came = means.z_cosine.values[hidden[known[0]]]
    first = came if np.isfinite(came) else cosine[known[0]]
    last = cosine[known[-1]]
    apart = float(np.sqrt(max(1 - last, 1e-12) / max(1 - first, 1e-12)))
    if last < ALIKE or apart > PAPER:
        return []
    severity = SEVERE if apart < BFLOAT16 else WARNING
    limit = BFLOAT16 if severity == SEVERE else PAPER
    source = BFLOAT16_SOURCE if severity == SEVERE else "the same as for the size of a signal"
    site = str(means.site.values[hidden[known[-1]]])
    return [
        Finding(
            "rank collapse",
            severity,
            (site,),
            apart,
            limit,
            source,
            f"examples become alike: their cosine is {first:.3g} at first and {last:.5g} at "
            f"{site}, which leaves {apart:.2g} of their distance",
            "Raise sigma_w towards the critical line (glorot_jax.theory.meanfield), lower the "
            "biases, or add residual connections or a normalisation.",
        )
    ]


def _no_weight_gradient(data: xr.Dataset, means: xr.Dataset) -> list[Finding]:
    reached = means.ds_norm.values > 0
    sites = means.site.values[(means.dw_norm.values == 0) & reached]
    if not len(sites):
        return []
    return [
        Finding(
            "no weight gradient",
            SEVERE,
            tuple(map(str, sites)),
            0.0,
            0.0,
            "nothing at all",
            f"the kernels of {_named(sites)} get a gradient of exactly 0",
            "Their input is 0 for every example.",
        )
    ]


def _hidden(means: xr.Dataset) -> np.ndarray:
    """All rows but tables and the last one, whose s are the logits."""
    rows = np.flatnonzero(means.kind.values != "embedding")
    return rows[rows < means.sizes["site"] - 1]


_CHECKS: tuple[Callable[[xr.Dataset, xr.Dataset], list[Finding]], ...] = (
    _not_finite,
    _forward,
    _backward,
    _saturation,
    _dead,
    _uneven,
    _rank_collapse,
    _no_weight_gradient,
)
