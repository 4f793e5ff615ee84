"""What comes in: its scale, and columns that drown the others."""

import numpy as np

from glorot_jax.diagnosis.judging.evidence import Evidence, Input
from glorot_jax.diagnosis.judging.finding import SEVERE, WARNING, Finding

# Initialisers are made for inputs of about unit variance; ten times that is no accident.
LARGE = 10.0
LARGE_SOURCE = "initialisers expect inputs of about unit variance"
UNEVEN = 30.0  # of the rms of columns
HARM_COST = 4.0
HARM_SATURATED = 0.5


def input_scale(evidence: Evidence) -> list[Finding]:
    """Inputs that are too large for the first kernels, where that does harm."""
    if evidence.beginning is not None:
        return []
    rms = np.sqrt(evidence.rows["z_mean_square"])
    large = [i for i in np.flatnonzero(evidence.first) if rms[i] > LARGE]
    if not large:
        return []
    row = max(large, key=lambda i: rms[i])
    saturated = evidence.rows["saturated"][row]
    harm = []
    if evidence.two_sided[row] and saturated > HARM_SATURATED:
        harm.append(f"{saturated:.0%} of the units there are saturated")
    answer = max(evidence.answers.zero, evidence.answers.constant)
    if answer > 0 and evidence.cost > HARM_COST * answer:
        harm.append(f"the first cost is {evidence.cost:.3g} where a constant costs {answer:.3g}")
    if not harm:
        return []
    table = _uneven_table(evidence)
    labels = tuple(evidence.labels[i] for i in large)
    if table is not None:
        columns = np.sqrt(np.square(table.mean) + np.square(table.std))
        most = int(np.argmax(columns))
        what = (
            f"the columns of the input {table.name} differ in scale: column {most} has an rms of "
            f"{columns[most]:.3g}, the median column {np.median(columns):.3g}, so that one column "
            "decides everything"
        )
        cure = "Standardise each column: subtract its mean and divide by its standard deviation."
    else:
        what = f"the input reaches {labels[0]} with an rms of {rms[row]:.3g}"
        cure = (
            "Scale the inputs: standardise them, divide pixels by 255, or give coordinates in "
            "units of the domain's length."
        )
    return [
        Finding(
            "input scale",
            SEVERE,
            labels,
            f"{what}; {' and '.join(harm)}",
            cure,
            float(rms[row]),
            LARGE,
            LARGE_SOURCE,
        )
    ]


def _uneven_table(evidence: Evidence) -> Input | None:
    for given in evidence.inputs:
        if len(given.shape) == 2 and given.shape[1] > 1:
            columns = np.sqrt(np.square(given.mean) + np.square(given.std))
            if columns.max() > UNEVEN * max(float(np.median(columns)), 1e-12):
                return given
    return None


# Of the distance between two examples: less than a hundredth of their size.
ALIKE = 1 - 0.5 * 0.01**2
FEW = 8  # inputs: with so few, their directions say nothing


def alike_inputs(evidence: Evidence) -> list[Finding]:
    """Examples that hardly differ where the first kernels see them."""
    if evidence.beginning is not None:
        return []
    rows = np.flatnonzero(evidence.first & (evidence.fan_in >= FEW))
    cosine = evidence.rows["z_cosine"][rows]
    if not rows.size or not (cosine > ALIKE).all():
        return []
    apart = float(np.sqrt(2 * max(1 - cosine.max(), 0.0)))
    return [
        Finding(
            "inputs all alike",
            SEVERE,
            tuple(evidence.labels[row] for row in rows),
            f"the examples are nearly the same where they reach {evidence.labels[rows[0]]}: they "
            f"differ by {apart:.1g} of their size, as where features are constant",
            "Centre each input column and divide it by its standard deviation; look for features "
            "that are constant.",
            apart,
            0.01,
            "a network can hardly tell them apart",
        )
    ]


CONSTANT = 1 / 3
CONSTANT_SOURCE = "of the features; they act as a large bias and drown the rest"


def constant_features(evidence: Evidence) -> list[Finding]:
    """Features that are the same for every example, as encodings at whole numbers are."""
    if evidence.beginning is not None:
        return []
    rows = np.flatnonzero(evidence.first & (evidence.fan_in >= FEW))
    share = evidence.rows["z_constant"][rows]
    if not rows.size or not (share > CONSTANT).all():
        return []
    return [
        Finding(
            "constant features",
            WARNING,
            tuple(evidence.labels[row] for row in rows),
            f"{share.min():.0%} of the input features of {evidence.labels[rows[0]]} are constant: "
            "they have the same value, other than 0, for every example",
            "Leave them out or centre them; scale coordinates to -1 .. 1 before they are encoded.",
            float(share.min()),
            CONSTANT,
            CONSTANT_SOURCE,
        )
    ]
