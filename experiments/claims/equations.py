"""Section 4.2.1: eqs. 5-7 and 12-15, of networks at initialisation."""

import math

import numpy as np
import xarray as xr

from experiments.claims.explanations import NOT_LINEAR
from experiments.claims.initial import (
    FIGURES,
    HALF_A_LAYER,
    INITIAL,
    SCHEMES,
    SIGNALS,
    spread_per_layer,
)
from experiments.claims.paper import LEVEL
from experiments.claims.reductions import by_layer
from experiments.claims.verdict import Claim, NotTested, Verdict, decide, on
from experiments.results.queries import condition, values

# Var[W]: n draws from a uniform law give their variance to a relative sqrt((1.8 - 1) / n), 1.8
# being its kurtosis. 5% is three such errors for a kernel of 2880 entries, so no smaller kernel is
# asked, and it tells 1/3 from every other initialiser here (1, 2, or 1e-4 n).
VARIANCE_TOLERANCE = 0.05
FEWEST_ENTRIES = math.ceil(9 * 0.8 / VARIANCE_TOLERANCE**2)
_LINEAR = {
    "activation": ("5", "the variance of the activations of each layer"),
    "backprop": ("6", "the variance of the back-propagated gradients of each layer"),
    "weight_gradient": ("7", "the variance of the weight gradients of each layer"),
}


def weight_variance(group: xr.Dataset, /, *, scheme: str) -> Verdict:
    """n Var[W] of every layer against eq. 15 or 12; the layer that is furthest off decides."""
    net = condition(group, "tanh", scheme)
    fan_in, fan_out = (values(net, name, "layer") for name in ("fan_in", "fan_out"))
    entries = int(np.min(fan_in * fan_out))
    if entries < FEWEST_ENTRIES:
        raise NotTested(
            f"the smallest kernel has {entries} entries; {FEWEST_ENTRIES} show a variance to "
            f"{VARIANCE_TOLERANCE:.0%}"
        )
    fan, claimed = (fan_in, 1 / 3) if scheme == "standard" else ((fan_in + fan_out) / 2, 1.0)
    n_variance = fan * by_layer(net, "weight_variance")
    return decide(
        np.max(np.abs(n_variance / claimed - 1), axis=1),
        what=f"largest relative difference of n Var[W] from {claimed:.3g}",
        below=VARIANCE_TOLERANCE,
        numbers={"n Var[W], mean over layers": n_variance.mean(axis=1)},
    )


def _variance(id: str, where: str, scheme: str, paper: str) -> Claim:
    return Claim(
        id=id,
        where=where,
        paper=paper,
        sentence=f"{scheme.capitalize()} initialisation: every layer's measured Var[W] is "
        f"within {VARIANCE_TOLERANCE:.0%} of it.",
        figure="fig06",
        test=on(INITIAL, weight_variance, scheme=scheme),
        if_it_fails="The weights are drawn from that law, so a difference beyond sampling is a "
        "mistake in the initialiser or in how the variance is measured; the variance of one large "
        "kernel drawn by itself would tell which.",
    )


STANDARD_VARIANCE = _variance(
    "eq15-standard-variance",
    "Section 4.2.1, eq. 15 (and eq. 1)",
    "standard",
    "Standard initialisation gives n Var[W] = 1/3.",
)
NORMALIZED_VARIANCE = _variance(
    "eq12-normalized-variance",
    "Section 4.2.1, eqs. 12 and 16",
    "normalized",
    "Normalised initialisation gives Var[W] = 2 / (n_in + n_out).",
)


def prediction(group: xr.Dataset, /, *, quantity: str, scheme: str) -> Verdict:
    """Measured over predicted mean square; the layer that is furthest off decides."""
    net = condition(group, "tanh", scheme)
    measured = by_layer(net, f"{quantity}_mean_square")
    ratio = measured / by_layer(net, f"predicted_{quantity}")
    return decide(
        np.exp(np.max(np.abs(np.log(ratio)), axis=1)),
        what=f"largest factor between measured and predicted variance of {SIGNALS[quantity]}",
        below=HALF_A_LAYER,
        numbers={"measured / predicted by layer": ratio.mean(axis=0).tolist()},
    )


def _prediction(quantity: str, scheme: str) -> Claim:
    number, what = _LINEAR[quantity]
    return Claim(
        id=f"eq{number}-{scheme}",
        where=f"Section 4.2.1, eq. {number}",
        paper=f"At initialisation (here {scheme}) the net is in a linear regime, so eq. "
        f"{number} gives {what}.",
        sentence=f"Tanh, {scheme} initialisation: in every layer eq. {number} and what is "
        f"measured differ by less than a factor {HALF_A_LAYER:.2f}, half of what one layer "
        "changes under standard initialisation.",
        figure=FIGURES[quantity],
        test=on(INITIAL, prediction, quantity=quantity, scheme=scheme),
        if_it_fails=NOT_LINEAR,
    )


PREDICTIONS = tuple(_prediction(quantity, scheme) for quantity in _LINEAR for scheme in SCHEMES)


def backprop_decay(group: xr.Dataset, /) -> Verdict:
    """Eq. 13: the change of Var[dC/ds] from the top layer to the first against [n Var W]^(d-1)."""
    net = condition(group, "tanh", "standard")
    square = by_layer(net, "backprop_mean_square")
    # W^i leads from layer i to the one above: the kernels above the first hidden layer.
    n_variance = values(net, "fan_in", "layer") * by_layer(net, "weight_variance")
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


BACKPROP_DECAY = Claim(
    id="eq13-backprop-decay",
    where="Section 4.2.1, eqs. 13 and 15",
    paper="The variance of the back-propagated gradients changes by n Var[W] per layer, so "
    "with standard initialisation it falls to a third per layer.",
    sentence="Tanh, standard initialisation: from the top hidden layer to the first, the "
    f"variance falls as predicted to within a factor {HALF_A_LAYER:.2f}, half a layer.",
    figure="fig07",
    test=on(INITIAL, backprop_decay),
    if_it_fails=NOT_LINEAR,
)


def weight_gradient_variance_level(group: xr.Dataset, /) -> Verdict:
    """Eq. 14: Var[dC/dw] of each example alike in all layers, under both initialisations."""
    factors = [
        spread_per_layer(np.sqrt(by_layer(net, "weight_gradient_mean_square")))
        for net in (condition(group, "tanh", name) for name in SCHEMES)
    ]
    return decide(
        np.maximum(*factors),
        what="largest over smallest layer of the per-example dC/dw, per layer",
        below=LEVEL,
        numbers=dict(zip(SCHEMES, factors, strict=True)),
    )


WEIGHT_GRADIENTS_LEVEL = Claim(
    id="eq14-weight-gradients-level",
    where="Section 4.2.1, eq. 14",
    paper="With equal widths the variance of the weight gradients is the same for all layers, "
    "whatever the initialisation.",
    sentence="Tanh, standard and normalised: the largest layer's weight gradient, example by "
    f"example, exceeds the smallest's by less than a factor {LEVEL:.2f} per layer.",
    figure="fig08",
    test=on(INITIAL, weight_gradient_variance_level),
    if_it_fails="The first layer's weight gradients carry the inputs, the others' activations "
    "that tanh has made smaller, which eq. 14 leaves out. Inputs scaled down to a tenth would "
    "decide it.",
)

CLAIMS = (
    STANDARD_VARIANCE,
    NORMALIZED_VARIANCE,
    *PREDICTIONS,
    BACKPROP_DECAY,
    WEIGHT_GRADIENTS_LEVEL,
)
