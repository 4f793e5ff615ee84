"""At initialisation: eqs. 5-7 and 12-15, Figs. 6-8, the singular values of eq. 17."""

import math

import numpy as np
import xarray as xr

from experiments.claims.measured import (
    LEVEL,
    PAPER_WIDTH,
    STANDARD_FACTOR,
    by_layer,
    central_fraction,
    condition,
    per_layer_factor,
    values,
)
from experiments.claims.verdict import NotTested, Verdict, decide
from experiments.networks import PAPER_DEPTH

# Var[W]: n draws from a uniform law give their variance to a relative sqrt((1.8 - 1) / n), 1.8
# being its kurtosis. 5% is three such errors for a kernel of 2880 entries, so no smaller kernel is
# asked, and it tells 1/3 from every other initialiser here (1, 2, or 1e-4 n).
VARIANCE_TOLERANCE = 0.05
FEWEST_ENTRIES = math.ceil(9 * 0.8 / VARIANCE_TOLERANCE**2)
# A prediction off by less than sqrt(3) is nearer to its own layer than to the next one, since
# neighbours differ by a factor of 3 in variance.
HALF_A_LAYER = STANDARD_FACTOR**0.5
# The peak at 0: narrower than the standard deviation of the bottom layer (about 0.3), at least one
# bin of any histogram here. The gradients' histograms reach to 5 units.
ACTIVATION_PEAK = 0.05
GRADIENT_PEAK = 0.25
GRADIENT_REACH = 5.0
# The paper gives its two ratios, 0.8 and 0.5, to one digit.
RATIO = {"standard": 0.5, "normalized": 0.8}
ROUNDING = 0.05
GRADIENTS = {"backprop": "dC/ds", "weight_gradient": "dC/dw", "activation": "z"}


def weight_variance(part: xr.Dataset, /, *, initializer: str) -> Verdict:
    """n Var[W] of every layer against eq. 15 or 12; the layer that is furthest off decides."""
    found = condition(part, "tanh", initializer)
    fan_in, fan_out = (values(found, name, "layer") for name in ("fan_in", "fan_out"))
    entries = int(np.min(fan_in * fan_out))
    if entries < FEWEST_ENTRIES:
        raise NotTested(
            f"the smallest kernel has {entries} entries; {FEWEST_ENTRIES} show a variance to "
            f"{VARIANCE_TOLERANCE:.0%}"
        )
    fan, claimed = (fan_in, 1 / 3) if initializer == "standard" else ((fan_in + fan_out) / 2, 1.0)
    n_variance = fan * by_layer(found, "weight_variance")
    return decide(
        np.max(np.abs(n_variance / claimed - 1), axis=1),
        what=f"largest relative difference of n Var[W] from {claimed:.3g}",
        below=VARIANCE_TOLERANCE,
        numbers={"n Var[W], mean over layers": n_variance.mean(axis=1)},
    )


def prediction(part: xr.Dataset, /, *, quantity: str, initializer: str) -> Verdict:
    """Measured over predicted mean square; the layer that is furthest off decides."""
    found = condition(part, "tanh", initializer)
    measured = by_layer(found, f"{quantity}_mean_square")
    ratio = measured / by_layer(found, f"predicted_{quantity}")
    return decide(
        np.exp(np.max(np.abs(np.log(ratio)), axis=1)),
        what=f"largest factor between measured and predicted variance of {GRADIENTS[quantity]}",
        below=HALF_A_LAYER,
        numbers={"measured / predicted by layer": ratio.mean(axis=0).tolist()},
    )


def backprop_decay(part: xr.Dataset, /) -> Verdict:
    """Eq. 13: the change of Var[dC/ds] from the top layer to the first against [n Var W]^(d-1)."""
    found = condition(part, "tanh", "standard")
    square = by_layer(found, "backprop_mean_square")
    # W^i leads from layer i to the one above: the kernels above the first hidden layer.
    n_variance = values(found, "fan_in", "layer") * by_layer(found, "weight_variance")
    predicted = np.prod(n_variance[:, 1:], axis=1)
    measured = square[:, 0] / square[:, -1]
    steps = square.shape[1] - 1
    return decide(
        measured / predicted,
        what="Var[dC/ds] of layer 1 over the top layer's, measured over predicted",
        above=1 / HALF_A_LAYER,
        below=HALF_A_LAYER,
        numbers={
            "measured factor per layer": measured ** (1 / steps),
            "predicted factor per layer": predicted ** (1 / steps),
        },
    )


def weight_gradient_variance_level(part: xr.Dataset, /) -> Verdict:
    """Eq. 14: Var[dC/dw] of each example alike in all layers, under both initialisations."""
    factors = [
        _spread_per_layer(np.sqrt(by_layer(found, "weight_gradient_mean_square")))
        for found in (condition(part, "tanh", name) for name in RATIO)
    ]
    return decide(
        np.maximum(*factors),
        what="largest over smallest layer of the per-example dC/dw, per layer",
        below=LEVEL,
        numbers=dict(zip(RATIO, factors, strict=True)),
    )


def peak_at_zero(part: xr.Dataset, /, *, quantity: str, grows: bool) -> Verdict:
    """The fraction near 0 from each layer to the next one up; the least clear step decides."""
    found = condition(part, "tanh", "standard")
    histogram = values(found, f"{quantity}_histogram", "seed", "layer", "bin")
    narrow = quantity == "activation"
    reach, end = (ACTIVATION_PEAK, 1.0) if narrow else (GRADIENT_PEAK, GRADIENT_REACH)
    peak = central_fraction(histogram, -end, end, reach)
    steps = np.diff(peak, axis=1) * (1 if grows else -1)
    unit = "" if narrow else " top-layer standard deviations"
    return decide(
        steps.min(axis=1),
        what=f"least {'rise' if grows else 'fall'} per layer of the fraction within {reach}{unit}",
        above=0.0,
        numbers={"fraction by layer": peak.mean(axis=0).tolist()},
    )


def shrinks_downwards(part: xr.Dataset, /) -> Verdict:
    """Std of dC/ds: each layer over the one above it; the least clear step decides."""
    std = by_layer(condition(part, "tanh", "standard"), "backprop_std")
    return decide(
        np.max(std[:, :-1] / std[:, 1:], axis=1),
        what="largest ratio of the std of dC/ds to that of the layer above",
        below=1.0,
        numbers={"std by layer": std.mean(axis=0).tolist()},
    )


def level(part: xr.Dataset, /, *, quantity: str, initializer: str) -> Verdict:
    """The mean factor of a standard deviation from one layer to the next one up."""
    std = by_layer(condition(part, "tanh", initializer), f"{quantity}_std")
    other = "normalized" if initializer == "standard" else "standard"
    numbers = {"std by layer": std.mean(axis=0).tolist()}
    try:
        compared = by_layer(condition(part, "tanh", other), f"{quantity}_std")
        numbers[f"factor per layer, {other}"] = per_layer_factor(compared)
    except NotTested:
        pass
    if quantity == "weight_gradient":
        return decide(
            _spread_per_layer(std),
            what="largest over smallest layer of the std of dC/dw, per layer",
            below=LEVEL,
            numbers=numbers,
        )
    return decide(
        per_layer_factor(std),
        what=f"factor of the std of {GRADIENTS[quantity]} per layer upwards",
        above=1 / LEVEL,
        below=LEVEL,
        numbers=numbers,
    )


def mean_singular_value(part: xr.Dataset, initializer: str, /) -> np.ndarray:
    """Mean over ranks, examples and the layers between two of one size, [seed]."""
    return _moment(part, initializer, 1)


def singular_value_to_the_digit(part: xr.Dataset, /, *, initializer: str) -> Verdict:
    """The paper's number to its one digit, at the paper's size."""
    found = mean_singular_value(part, initializer)
    claimed = RATIO[initializer]
    size = condition(part, "tanh", initializer)
    width = int(values(size, "fan_out", "layer").min())
    if width < PAPER_WIDTH or size.sizes["layer"] < PAPER_DEPTH:
        raise NotTested(
            f"{size.sizes['layer']} layers of {width} units; the paper's number is for "
            f"{PAPER_DEPTH} of {PAPER_WIDTH}",
            {"mean singular value": found, "paper": claimed},
        )
    return decide(
        found,
        what=f"mean singular value, {initializer}",
        above=claimed - ROUNDING,
        below=claimed + ROUNDING,
        numbers={"paper": claimed},
    )


def singular_value_contrast(part: xr.Dataset, /) -> Verdict:
    """Normalised over standard, paired by seed: nearer to the paper's 0.8 / 0.5 than to 1."""
    standard, normalized = (mean_singular_value(part, name) for name in RATIO)
    claimed = RATIO["normalized"] / RATIO["standard"]
    return decide(
        normalized / standard,
        what="mean singular value, normalised over standard",
        above=math.sqrt(claimed),
        below=claimed**1.5,
        numbers={"standard": standard, "normalized": normalized, "paper": claimed},
    )


def below_oracle(part: xr.Dataset, /) -> Verdict:
    """Mean singular value over 8/(3 pi) sqrt(n Var W); the initialisation nearer to 1 decides."""
    ratios = [
        mean_singular_value(part, name)
        / values(condition(part, "tanh", name), "predicted_singular_value_mean")
        for name in RATIO
    ]
    return decide(
        np.maximum(*ratios),
        what="mean singular value over that of the weights alone",
        below=1.0,
        numbers=dict(zip(RATIO, ratios, strict=True)),
    )


def variance_ratio(part: xr.Dataset, /) -> Verdict:
    """Mean singular value against the ratio of activation variances; the further one decides."""
    differences = []
    numbers: dict[str, np.ndarray] = {}
    for name in RATIO:
        square = by_layer(condition(part, "tanh", name), "activation_mean_square")
        ratio = np.mean(square[:, 1:] / square[:, :-1], axis=1)
        mean = mean_singular_value(part, name)
        differences.append(np.abs(mean - ratio))
        numbers |= {
            f"mean singular value, {name}": mean,
            f"mean square of the singular values, {name}": _moment(part, name, 2),
            f"ratio of variances, {name}": ratio,
        }
    return decide(
        np.maximum(*differences),
        what="largest difference of the mean singular value from the ratio of variances",
        below=ROUNDING,
        numbers=numbers,
    )


def _moment(part: xr.Dataset, initializer: str, power: int) -> np.ndarray:
    found = condition(part, "tanh", initializer)
    square = values(found, "fan_in", "layer") == values(found, "fan_out", "layer")
    square[0] = False  # from the input: J^i maps one hidden layer to the next
    if not square.any():
        raise NotTested("no two consecutive hidden layers have the same size")
    singular = values(found, "singular_value", "seed", "layer", "example", "rank")[:, square]
    return np.nanmean(singular**power, axis=(1, 2, 3))


def _spread_per_layer(std: np.ndarray) -> np.ndarray:
    """Largest over smallest layer, as a factor for each step between layers, [seed]."""
    return (std.max(axis=1) / std.min(axis=1)) ** (1 / (std.shape[1] - 1))
