"""Signals and gradients that vanish or explode along the ways that everything passes."""

from dataclasses import dataclass

import numpy as np

from glorot_jax.diagnosis.judging.evidence import Chain, Evidence
from glorot_jax.diagnosis.judging.finding import (
    BFLOAT16,
    BFLOAT16_SOURCE,
    SEVERE,
    WARNING,
    Finding,
    Severity,
    named,
)

# Five layers of the paper's standard initialisation keep a tenth, and learn, slowly; three times
# as bad is where we begin to warn.
SMALL = 1 / 30
SMALL_SOURCE = "three times what five tanh layers lose with the standard initialisation, Figs. 6, 7"
LEAST_STATIONS = 3
# Examples must be nearly alike, not only closer than they came.
ALIKE = 0.9
COLLAPSED = 1 / 30
COLLAPSED_SOURCE = "deep healthy nets of relu units keep three times as much"


@dataclass(frozen=True)
class _Course:
    """How a profile goes from ``labels[0]`` to the last: by ``change`` in all, ``rate`` a step."""

    labels: tuple[str, ...]
    change: float
    rate: float

    @property
    def severity(self) -> Severity | None:
        small = min(self.change, 1 / self.change)
        return SEVERE if small < BFLOAT16 else WARNING if small < SMALL else None


def _course(labels: tuple[str, ...], profile: np.ndarray) -> _Course | None:
    """By a straight line through its logarithm; None where there is too little to draw one."""
    known = np.isfinite(profile) & (profile > 0)
    if known.sum() < LEAST_STATIONS:
        return None
    kept = [label for label, use in zip(labels, known, strict=True) if use]
    log = np.log(profile[known])
    slope = _median_slope(log)
    ends = float(log[-1] - log[0])
    # Both the line and the ends must say it: neither a bend nor one odd station is a trend.
    total = slope * (len(log) - 1)
    change = min((total, ends), key=abs) if total * ends > 0 else 0.0
    return _Course(tuple(kept), float(np.exp(np.clip(change, -80, 80))), float(np.exp(slope)))


def _median_slope(y: np.ndarray) -> float:
    """The median slope of all pairs of y [n] at 0, 1, .. n - 1 (Theil and Sen).

    No single station can tilt it: what follows a normalisation is as large as that makes it.
    (``scipy.stats`` has it, and takes a second to import.)
    """
    first, second = np.triu_indices(len(y), 1)
    return float(np.median((y[second] - y[first]) / (second - first)))


def forward(evidence: Evidence) -> list[Finding]:
    """The size of what kernels see, from the second station of a chain to its end."""
    if evidence.beginning is not None:
        return []
    found = [
        (course, chain)
        for chain in evidence.chains
        if not chain.of_time and (course := _course(*_seen(evidence, chain))) and course.severity
    ]
    if not found:
        return []
    course, _ = max(found, key=lambda pair: abs(np.log(pair[0].change)))
    shrinks = course.change < 1
    kind = "vanishing forward" if shrinks else "exploding forward"
    return [
        _finding(
            kind,
            course,
            course.labels,
            f"the signal {'vanishes' if shrinks else 'explodes'}: its size changes by a factor of "
            f"{course.rate:.3g} a layer, {course.change:.3g} from {course.labels[0]} to "
            f"{course.labels[-1]}",
            evidence,
        )
    ]


def _seen(evidence: Evidence, chain: Chain) -> tuple[tuple[str, ...], np.ndarray]:
    """What the kernels along a chain see, x itself left out: its scale is the input's matter."""
    rms = np.sqrt(evidence.rows["z_mean_square"])
    places = [evidence.labels.index(label) for label in chain.labels]
    rows = [i for i in places if not evidence.first[i] and evidence.kinds[i] != "embedding"]
    return tuple(evidence.labels[i] for i in rows), rms[rows]


def backward(evidence: Evidence) -> list[Finding]:
    """How sensitive the cost is to each station, relative to the station's own size."""
    if evidence.beginning is not None:
        return []
    found = [
        course
        for chain in evidence.chains
        if not chain.of_time
        and (course := _course(*_downwards(evidence, chain)))
        and course.severity
        and not _tunes_itself(evidence, course)
    ]
    if not found:
        return []
    course = max(found, key=lambda course: abs(np.log(course.change)))
    shrinks = course.change < 1
    kind = "vanishing backward" if shrinks else "exploding backward"
    return [
        _finding(
            kind,
            course,
            course.labels,
            f"the gradient {'vanishes' if shrinks else 'explodes'} on its way down: relative to "
            f"the size of the signal it changes by a factor of {course.rate:.3g} a layer, "
            f"{course.change:.3g} from {course.labels[0]} to {course.labels[-1]}",
            evidence,
        )
    ]


def _tunes_itself(evidence: Evidence, course: _Course) -> bool:
    """Whether large gradients do no harm: each kernel on the way is followed by a normalisation.

    Such a kernel grows by its steps, the more the larger they are, and the larger it is the less
    does a step change: "auto rate-tuning by batch normalization" (Arora, Li & Lyu, 2018). It needs
    time, so an explosion beyond a warning stays one.
    """
    on_the_way = [
        leaf for leaf in evidence.leaves if set(leaf.labels) & set(course.labels) and leaf.gradient
    ]
    grows = course.change > 1 and course.severity == WARNING
    return grows and bool(on_the_way) and all(leaf.scale_free for leaf in on_the_way)


# A state forgets on purpose; what it can't have is a first step whose part of the gradient is
# below the rounding of the last one's.
FLOAT32 = 2.0**-24
FLOAT32_SOURCE = "float32 keeps 24 bits: the sum over the steps loses the first ones"
LEAST_STEPS = 8


def through_time(evidence: Evidence) -> list[Finding]:
    """Gradients of a recurrence from the last step to the first, by each kernel's own dC/ds."""
    if evidence.beginning is not None:
        return []
    courses = []
    for name in dict.fromkeys(evidence.names):
        rows = [i for i, of in enumerate(evidence.names) if of == name and evidence.of_time[i]]
        labels = tuple(evidence.labels[i] for i in rows[::-1])
        if len(rows) >= LEAST_STEPS:
            course = _course(labels, evidence.rows["ds_norm"][rows[::-1]])
            courses += [course] if course else []
    for chain in evidence.chains:
        if chain.of_time and len(chain.labels) >= LEAST_STEPS:
            course = _course(chain.labels[::-1], chain.sensitivity[::-1])
            courses += [course] if course else []
    if not courses:
        return []
    most = max(courses, key=lambda course: course.change)
    least = max(courses, key=lambda course: -abs(np.log(course.change)))
    if most.change > 1 / BFLOAT16:
        text = f"the gradient explodes over time: by a factor of {most.rate:.3g} a step"
        return [_over_time("exploding over time", SEVERE, most, text, 1 / BFLOAT16)]
    if least.change < FLOAT32:
        text = f"the gradient vanishes over time: it forgets by a factor of {least.rate:.3g} a step"
        return [_over_time("vanishing over time", WARNING, least, text, FLOAT32)]
    return []


def _over_time(
    kind: str, severity: Severity, course: _Course, text: str, threshold: float
) -> Finding:
    explodes = threshold > 1
    return Finding(
        kind,
        severity,
        course.labels,
        f"{text}, {course.change:.3g} from {course.labels[0]} to {course.labels[-1]}",
        "Scale the recurrent kernel to a spectral radius below 1, or clip the gradient."
        if explodes
        else "Start the forget gate's bias at 1 or higher (log of the time span), or use an "
        "orthogonal recurrent kernel.",
        course.change,
        threshold,
        BFLOAT16_SOURCE if explodes else FLOAT32_SOURCE,
    )


def _downwards(evidence: Evidence, chain: Chain) -> tuple[tuple[str, ...], np.ndarray]:
    """From the last stop below the outputs: of these the loss says how sensitive it is."""
    places = [
        i
        for i, label in enumerate(chain.labels)
        if not evidence.heads[evidence.labels.index(label)]
    ][::-1]
    return tuple(chain.labels[i] for i in places), chain.sensitivity[places]


def _finding(
    kind: str, course: _Course, labels: tuple[str, ...], text: str, evidence: Evidence
) -> Finding:
    assert course.severity is not None
    severe = course.severity == SEVERE
    asked = _gains(evidence, labels)
    limit = BFLOAT16 if severe else SMALL
    return Finding(
        kind,
        course.severity,
        labels,
        text,
        _gain_cure(asked),
        course.change,
        limit if course.change < 1 else 1 / limit,
        BFLOAT16_SOURCE if severe else SMALL_SOURCE,
        factors=asked,
    )


def _gains(evidence: Evidence, labels: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Factors for kernels that make n Var[W] E[f'(s)^2] 1, where it is something else."""
    gains = evidence.rows["critical_gain"]
    return tuple(
        (label, float(gains[i]))
        for i, label in enumerate(evidence.labels)
        if label in labels
        and np.isfinite(gains[i])
        and gains[i] > 0
        and abs(np.log(gains[i])) > NEAR
    )


NEAR = 0.05


def _gain_cure(asked: tuple[tuple[str, float], ...]) -> str:
    if not asked:
        return ""
    low, high = min(gain for _, gain in asked), max(gain for _, gain in asked)
    factor = f"{low:.3g}" if high / low < 1.01 else f"{low:.3g} to {high:.3g}"
    return (
        f"Multiply the kernels of {named([label for label, _ in asked])} by {factor}: that makes "
        "n Var[W] E[f'(s)^2] = 1, as gj.calibrate(..., mode='critical') does."
    )


def collapse(evidence: Evidence) -> list[Finding]:
    """Examples, or the positions of one, that become alike along the way of the whole signal.

    By distance: two directions with cosine c lie sqrt(2 (1 - c)) apart.
    """
    if evidence.beginning is not None or not evidence.chains or evidence.chains[0].of_time:
        return []
    rows = [evidence.labels.index(name) for name in evidence.chains[0].labels]
    rows = [row for row in rows if not evidence.heads[row]]
    what = (("cosine", "examples"), ("position_cosine", "positions of an example"))
    return [found for name, noun in what if (found := _collapse(evidence, rows, name, noun))][:1]


def _collapse(evidence: Evidence, rows: list[int], name: str, noun: str) -> Finding | None:
    cosine = evidence.rows[f"s_{name}"][rows]
    known = np.flatnonzero(np.isfinite(cosine))
    if len(known) < 2:
        return None
    came = evidence.rows[f"z_{name}"][rows[known[0]]]
    first = came if np.isfinite(came) else cosine[known[0]]
    last = cosine[known[-1]]
    apart = float(np.sqrt(max(1 - last, 1e-12) / max(1 - first, 1e-12)))
    if last < ALIKE or apart > COLLAPSED:
        return None
    site = evidence.labels[rows[known[-1]]]
    return Finding(
        "rank collapse",
        SEVERE if apart < BFLOAT16 else WARNING,
        (site,),
        f"{noun} become all alike: their cosine is {first:.3g} at first and {last:.5g} at {site}, "
        f"which leaves {apart:.2g} of their distance",
        "Add residual connections or a normalisation, lower the biases, or raise the kernels "
        "towards the critical line (glorot_jax.theory.meanfield).",
        apart,
        BFLOAT16 if apart < BFLOAT16 else COLLAPSED,
        BFLOAT16_SOURCE if apart < BFLOAT16 else COLLAPSED_SOURCE,
    )
