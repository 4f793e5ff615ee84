"""Section 4.2.2 and eq. 17: singular values of the layers' Jacobians."""

import math

import numpy as np
import xarray as xr

from experiments.claims.initial import INITIAL
from experiments.claims.paper import PAPER_WIDTH
from experiments.claims.reductions import by_layer
from experiments.claims.verdict import Claim, NotTested, Verdict, decide, on
from experiments.networks import PAPER_DEPTH
from experiments.results.queries import condition, mean_singular_values, values

# The paper gives its two ratios, 0.8 and 0.5, to one digit.
RATIO = {"standard": 0.5, "normalized": 0.8}
ROUNDING = 0.05


def mean_singular_value(group: xr.Dataset, scheme: str, /) -> np.ndarray:
    """Mean over ranks, the seed's own examples and the layers between two of one size, [seed]."""
    net = condition(group, "tanh", scheme)
    return mean_singular_values(net)[:, _between_equals(net)].mean(axis=1)


def singular_value_to_the_digit(group: xr.Dataset, /, *, scheme: str) -> Verdict:
    """The paper's number to its one digit, at the paper's size."""
    mean = mean_singular_value(group, scheme)
    claimed = RATIO[scheme]
    size = condition(group, "tanh", scheme)
    width = int(values(size, "fan_out", "layer").min())
    if width < PAPER_WIDTH or size.sizes["layer"] < PAPER_DEPTH:
        raise NotTested(
            f"{size.sizes['layer']} layers of {width} units; the paper's number is for "
            f"{PAPER_DEPTH} of {PAPER_WIDTH}",
            {"mean singular value": mean, "paper": claimed},
        )
    return decide(
        mean,
        what=f"mean singular value, {scheme}",
        above=claimed - ROUNDING,
        below=claimed + ROUNDING,
        numbers={"paper": claimed},
    )


def _singular(scheme: str) -> Claim:
    claimed = RATIO[scheme]
    return Claim(
        id=f"eq17-{scheme}",
        where="Section 4.2.2, eq. 17",
        paper=f"The average singular value of the layers' Jacobians is about {claimed} with "
        f"{scheme} initialisation.",
        sentence="Tanh, 5 layers of 1000 units, between layers of one size: it rounds to "
        f"{claimed}.",
        figure="eq17",
        test=on(INITIAL, singular_value_to_the_digit, scheme=scheme),
        if_it_fails="It is 8/(3 pi) sqrt(n Var W), 0.49 or 0.85, times the mean slope of the "
        "units, and the slope depends on how large the inputs are: single images give 0.72 to "
        "0.81. The paper doesn't say which layers and examples it averages over; all of them, "
        "layer by layer, would show which give the paper's number.",
    )


def singular_value_contrast(group: xr.Dataset, /) -> Verdict:
    """Normalised over standard, paired by seed: nearer to the paper's 0.8 / 0.5 than to 1."""
    standard, normalized = (mean_singular_value(group, name) for name in RATIO)
    claimed = RATIO["normalized"] / RATIO["standard"]
    return decide(
        normalized / standard,
        what="mean singular value, normalised over standard",
        above=math.sqrt(claimed),
        below=claimed**1.5,
        numbers={"standard": standard, "normalized": normalized, "paper": claimed},
    )


CONTRAST = Claim(
    id="eq17-contrast",
    where="Section 4.2.2, eq. 17",
    paper="The average singular value is around 0.8 with normalised initialisation and drops "
    "to 0.5 with the standard one.",
    sentence="Tanh: normalised over standard is nearer to 0.8 / 0.5 than to 1, and as near "
    "from above.",
    figure="eq17",
    test=on(INITIAL, singular_value_contrast),
    if_it_fails="The weights alone give sqrt(3) = 1.73; the slopes of tanh, smaller under "
    "normalised initialisation, take from it. Smaller inputs must bring it back.",
)


def below_oracle(group: xr.Dataset, /) -> Verdict:
    """Mean singular value over 8/(3 pi) sqrt(n Var W); the initialisation nearer to 1 decides."""
    ratios = [
        mean_singular_value(group, name)
        / values(condition(group, "tanh", name), "predicted_singular_value_mean")
        for name in RATIO
    ]
    return decide(
        np.maximum(*ratios),
        what="mean singular value over that of the weights alone",
        below=1.0,
        numbers=dict(zip(RATIO, ratios, strict=True)),
    )


BELOW_ORACLE = Claim(
    id="eq17-below-oracle",
    where="Section 4.2.2, eq. 17, with the singular values of a random matrix",
    paper="The average singular values, 0.8 and 0.5, belong to weights whose own would be "
    "0.85 and 0.49: 8/(3 pi) sqrt(n Var W), times slopes of at most 1.",
    sentence="Tanh, standard and normalised: the mean singular value is below 8/(3 pi) "
    "sqrt(n Var W).",
    figure="eq17",
    test=on(INITIAL, below_oracle),
    if_it_fails="Slopes of tanh are at most 1, so this is a mistake in the Jacobians, or "
    "layers so narrow that the limit of wide ones doesn't hold; doubling the width decides.",
)


def variance_ratio(group: xr.Dataset, /, *, scheme: str) -> Verdict:
    """Mean singular value less the ratio of activation variances."""
    square = by_layer(condition(group, "tanh", scheme), "activation_mean_square")
    ratio = np.mean(square[:, 1:] / square[:, :-1], axis=1)
    mean = mean_singular_value(group, scheme)
    return decide(
        mean - ratio,
        what="mean singular value less the ratio of variances",
        above=-ROUNDING,
        below=ROUNDING,
        numbers={
            "mean singular value": mean,
            "mean square of the singular values": _moment(group, scheme, 2),
            "ratio of variances": ratio,
        },
    )


def _ratio_of_variances(scheme: str) -> Claim:
    return Claim(
        id=f"eq17-ratio-of-variances-{scheme}",
        where="Section 4.2.2, after eq. 17",
        paper="Between layers of one size the average singular value corresponds to the ratio of "
        f"the activations' variances (here {scheme}).",
        sentence=f"Tanh, {scheme}: the two agree to the one digit that the paper gives, within "
        f"{ROUNDING}.",
        figure="eq17",
        test=on(INITIAL, variance_ratio, scheme=scheme),
        if_it_fails="For a linear layer the ratio of variances is the mean of the squared singular "
        "values, n Var[W], which is 1/3 where the mean singular value is 0.49; with normalised "
        "initialisation both are near 0.8 by the slopes of tanh. The mean square is among the "
        "numbers: if it agrees with the ratio, the paper's sentence holds of it instead.",
    )


def _moment(group: xr.Dataset, scheme: str, power: int) -> np.ndarray:
    """Mean over ranks, layers and the few examples whose spectra are exact, [seed]."""
    net = condition(group, "tanh", scheme)
    singular = values(net, "singular_value", "seed", "layer", "example", "rank")
    return np.nanmean(singular[:, _between_equals(net)] ** power, axis=(1, 2, 3))


def _between_equals(net: xr.Dataset) -> np.ndarray:
    """Of each layer, whether it leads from a hidden layer to one of the same size."""
    square = values(net, "fan_in", "layer") == values(net, "fan_out", "layer")
    square[0] = False  # from the input: J^i maps one hidden layer to the next
    if not square.any():
        raise NotTested("no two consecutive hidden layers have the same size")
    return square


CLAIMS = (
    _singular("standard"),
    _singular("normalized"),
    CONTRAST,
    BELOW_ORACLE,
    _ratio_of_variances("standard"),
    _ratio_of_variances("normalized"),
)
