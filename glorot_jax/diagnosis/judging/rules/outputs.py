"""What comes out, held against what the loss wants: its function, its scale and the first cost."""

import numpy as np

from glorot_jax.diagnosis.judging.evidence import Evidence, Output
from glorot_jax.diagnosis.judging.finding import SEVERE, WARNING, Finding

COST = {WARNING: 4.0, SEVERE: 10.0}
# A squared distance is 10 times its least where the outputs are 3 times as wide as the targets.
DISTANCE = {WARNING: 10.0, SEVERE: 100.0}
COST_SOURCE = "times the cost of a constant answer: the first updates only undo this"
TARGETS = 20.0
TARGETS_SOURCE = "a net's outputs start near 1, and each update moves them a little"
DEAD_OUTPUT = 0.5
FLAT = 1e-4
MOST_GAIN = 10.0
FLAT_SOURCE = "of what there is to be gained"
BOUNDED = 1.01


def output_function(evidence: Evidence) -> list[Finding]:
    """A function at the end that the loss takes once more, or that shuts the outputs off."""
    if evidence.beginning is not None:
        return []
    return [
        finding
        for output in evidence.outputs
        for finding in (*_twice(evidence, output), *_shut(evidence, output))
    ]


def _heads(evidence: Evidence) -> tuple[str, ...]:
    return tuple(evidence.labels[i] for i in np.flatnonzero(evidence.heads))


def _twice(evidence: Evidence, output: Output) -> list[Finding]:
    softmax = output.sums_to_one and evidence.answers.shift_free
    sigmoid = output.function == "logistic" and evidence.answers.beyond
    if not (softmax or sigmoid):
        return []
    name = "softmax" if softmax else "sigmoid"
    return [
        Finding(
            f"{name} twice",
            SEVERE,
            _heads(evidence),
            f"the model ends in a {name} and the loss takes another {name}: it sees values of 0 "
            "to 1 only, so that the cost can't come near 0 and its gradient is small",
            f"Return the logits, without the {name}.",
            1.0,
            0.0,
            f"one {name} is what the loss expects",
        )
    ]


def _shut(evidence: Evidence, output: Output) -> list[Finding]:
    """A relu at the very end, where the loss would have negative values too."""
    if output.function != "relu" or output.zeros <= DEAD_OUTPUT or not evidence.answers.beyond:
        return []
    return [
        Finding(
            "relu on the outputs",
            SEVERE,
            _heads(evidence),
            f"the outputs go through a relu and {output.zeros:.0%} of them are 0, where no "
            "gradient comes back",
            "Take the relu off the last layer.",
            output.zeros,
            DEAD_OUTPUT,
            "most outputs get no gradient",
        )
    ]


def target_scale(evidence: Evidence) -> list[Finding]:
    """Targets far from what a net's outputs can be at the start, where the loss is a distance."""
    if evidence.beginning is not None or evidence.targets is None:
        return []
    mean, std = evidence.targets
    rms = float(np.hypot(mean, std))
    reach = max(1.0, *(float(np.hypot(o.mean, o.std)) for o in evidence.outputs))
    if rms <= TARGETS * reach:
        return []
    return [
        Finding(
            "target scale",
            SEVERE,
            _heads(evidence),
            f"the targets have a mean of {mean:.3g} and a standard deviation of {std:.3g}, the "
            f"outputs start within {reach:.3g}: the first cost is {evidence.cost:.3g}, and the "
            "updates go into the level",
            "Standardise the targets, or start the last bias at their mean and divide by their "
            "standard deviation.",
            rms / reach,
            TARGETS,
            TARGETS_SOURCE,
        )
    ]


def first_cost(evidence: Evidence) -> list[Finding]:
    """The first cost beside that of the best constant answer."""
    answer = max(evidence.answers.zero, evidence.answers.constant)
    if evidence.beginning is not None or not answer > 0:
        return []
    ratio = evidence.cost / answer
    limits = DISTANCE if evidence.answers.targets else COST
    if not ratio > limits[WARNING]:
        return []
    severity = SEVERE if ratio > limits[SEVERE] else WARNING
    size = max((float(np.hypot(o.mean, o.std)) for o in evidence.outputs), default=np.nan)
    heads = _heads(evidence)
    alone = len(heads) == 1 and size > 1
    return [
        Finding(
            "first cost",
            severity,
            _heads(evidence),
            f"the loss starts at {evidence.cost:.3g} where a constant answer costs {answer:.3g}: "
            f"the outputs (logits) are too large, with an rms of {size:.3g}",
            f"Multiply the kernel of {heads[0]} by {1 / size:.2g}, so that the outputs start at 1."
            if alone
            else "Scale down what makes the outputs: the last kernels, or an embedding that serves "
            "as one.",
            ratio,
            limits[severity],
            COST_SOURCE,
            factors=((heads[0], 1 / size),) if alone else (),
        )
    ]


def flat_loss(evidence: Evidence) -> list[Finding]:
    """A loss that has no slope where the outputs are, though other outputs would cost less."""
    answers = evidence.answers
    # A loss without a least value promises no more than what is near.
    gain = min(evidence.cost - answers.least, MOST_GAIN * max(abs(evidence.cost), 1.0))
    if evidence.beginning is not None or not gain > 0 or not answers.slope < FLAT * gain:
        return []
    return [
        Finding(
            "flat loss",
            SEVERE,
            _heads(evidence),
            f"the gradient of the loss vanishes at these outputs: moving them by their own size "
            f"would change the cost by {answers.slope:.2g}, though there are outputs that cost "
            f"{gain:.3g} less; the loss is saturated there",
            "Use a loss with a slope where the outputs begin (-log D in place of log(1 - D), "
            "logits in place of probabilities), or start with smaller outputs.",
            answers.slope / gain,
            FLAT,
            FLAT_SOURCE,
        )
    ]


def mixed_shapes(evidence: Evidence) -> list[Finding]:
    """Outputs [n, 1] against labels [n]: broadcasting compares each output with every label."""
    if evidence.beginning is not None or not evidence.answers.mixes or evidence.shapes is None:
        return []
    outputs, labels = evidence.shapes
    return [
        Finding(
            "loss of mixed shapes",
            SEVERE,
            _heads(evidence),
            f"the loss compares each output with every label: outputs are {list(outputs)}, y is "
            f"{list(labels)}, their difference is broadcast and the cost of each example depends "
            "on the other examples",
            "Give both one shape: output[:, 0], or y[:, None].",
        )
    ]


def bounded_outputs(evidence: Evidence) -> list[Finding]:
    """Logits that nothing can make larger, too small for the loss to come down."""
    heads = _heads(evidence)
    kernels = [leaf for leaf in evidence.leaves if len(leaf.shape) > 1 and leaf.gradient > 0]
    mine = [leaf for leaf in kernels if set(leaf.labels) & set(heads)]
    others = [leaf for leaf in evidence.leaves if leaf.shape == () and leaf.gradient > 0]
    reach = max((max(abs(o.least), abs(o.largest)) for o in evidence.outputs), default=np.nan)
    if (
        evidence.beginning is not None
        or not evidence.answers.shift_free
        or not mine
        or others
        or not all(leaf.scale_free for leaf in kernels)
        or not reach <= BOUNDED
    ):
        return []
    return [
        Finding(
            "logits too small",
            SEVERE,
            heads,
            f"the logits lie within {reach:.2g} of 0 and no kernel can make them larger, because "
            "each is divided by its norm: as cosines, they are too small for a softmax to be sure",
            "Multiply them by a scale (a temperature) of ten or more, learned or fixed.",
            reach,
            BOUNDED,
            "a softmax over cosines can't come near 0 or 1",
        )
    ]
