"""Parameters that get no gradient: frozen on purpose, opening by themselves, or shut for good."""

import numpy as np

from glorot_jax.diagnosis.judging.evidence import Evidence, Leaf
from glorot_jax.diagnosis.judging.finding import NOTE, SEVERE, WARNING, Finding, named

_EXACTLY = "exactly 0 for every example, at first and after two small updates of the rest"


def no_gradient(evidence: Evidence) -> list[Finding]:
    """By what stands in the way: nothing but time, a stop_gradient, a choice, or a dead unit."""
    if evidence.beginning is not None:
        return []
    closed = [leaf for leaf in evidence.leaves if leaf.closed]
    opening = [leaf for leaf in evidence.leaves if leaf.opens]
    frozen = [leaf for leaf in closed if _stopped(leaf)]
    chosen = [leaf for leaf in closed if _picked(leaf)]
    unused = [leaf for leaf in closed if not leaf.route.reached]
    shut = [leaf for leaf in closed if leaf.route.open and _matters(leaf)]
    return [
        *_opening(opening),
        *_frozen(frozen),
        *_unused(unused),
        *_chosen(chosen),
        *_shut(evidence, shut),
    ]


def _stopped(leaf: Leaf) -> bool:
    route = leaf.route
    return route.reached and not route.open and "stop_gradient" in route.closed_by


def _picked(leaf: Leaf) -> bool:
    route = leaf.route
    return route.reached and not route.open and not _stopped(leaf)


def _matters(leaf: Leaf) -> bool:
    """Whether it is a kernel, or all there is: a bias that cancels out may well be left alone."""
    return bool(leaf.labels) or len(leaf.shape) >= 2


def _labels(leaves: list[Leaf]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for leaf in leaves for label in leaf.labels or (leaf.name,)))


def _opening(leaves: list[Leaf]) -> list[Finding]:
    if not leaves:
        return []
    names = named([leaf.name for leaf in leaves])
    text = f"{names} get no gradient yet; they do as soon as the parameters above have moved"
    return [Finding("opens by itself", NOTE, _labels(leaves), text, "")]


def _frozen(leaves: list[Leaf]) -> list[Finding]:
    if not leaves:
        return []
    text = f"{named([leaf.name for leaf in leaves])} are frozen by a stop_gradient"
    return [Finding("frozen", NOTE, _labels(leaves), text, "")]


def _unused(leaves: list[Leaf]) -> list[Finding]:
    if not leaves:
        return []
    text = f"{named([leaf.name for leaf in leaves])} change nothing in the output"
    return [Finding("unused", NOTE, _labels(leaves), text, "")]


def _chosen(leaves: list[Leaf]) -> list[Finding]:
    if not leaves:
        return []
    by = ", ".join(sorted(set().union(*(leaf.route.closed_by for leaf in leaves))))
    names = named([leaf.name for leaf in leaves])
    return [
        Finding(
            "no gradient through a choice",
            SEVERE,
            _labels(leaves),
            f"no gradient ever reaches {names}: all ways to the cost go through {by}, which passes "
            "none on",
            "Multiply what is chosen by its own softmax weight, or use a straight-through or "
            "score-function estimate.",
            0.0,
            0.0,
            "the equations: no way without it",
        )
    ]


def _shut(evidence: Evidence, leaves: list[Leaf]) -> list[Finding]:
    if not leaves:
        return []
    zero = [leaf for leaf in leaves if leaf.norm == 0]
    dead = _last_dead(evidence)
    blocked = "" if dead is None else f"all units of {dead} are dead: f'(s) is 0 for every example"
    # Units whose kernel is 0 are dead because it is.
    begins = dead is None or any(dead in leaf.labels for leaf in zero)
    names = named([leaf.name for leaf in leaves])
    total = sum(leaf.gradient for leaf in evidence.leaves)
    if zero and begins:
        return [
            Finding(
                "zero kernel that stays closed",
                SEVERE,
                _labels(zero) + _labels([leaf for leaf in leaves if leaf.norm != 0]),
                f"all values of {named([leaf.name for leaf in zero])} are 0 and the gradient is "
                "exactly 0, because what follows has no slope at 0 or is multiplied by another 0",
                "Draw the kernel at random, or use a function with a slope at 0.",
                0.0,
                0.0,
                _EXACTLY,
            )
        ]
    why = f", because {blocked}" if blocked else ""
    severity = SEVERE if total == 0 or zero or _share(evidence, leaves) > 0.01 else WARNING
    return [
        Finding(
            "no gradient",
            severity,
            _labels(leaves),
            f"{names} get no gradient{why}",
            "Look at what follows them: units that are dead for every example, or a factor of 0.",
            0.0,
            0.0,
            _EXACTLY,
        )
    ]


def _share(evidence: Evidence, leaves: list[Leaf]) -> float:
    def entries(some: list[Leaf]) -> int:
        return sum(_size(leaf) for leaf in some)

    return entries(leaves) / max(entries(list(evidence.leaves)), 1)


def _size(leaf: Leaf) -> int:
    count = 1
    for axis in leaf.shape:
        count *= axis
    return count


def _last_dead(evidence: Evidence) -> str | None:
    """The last row on the way up that lets nothing down."""
    dead = np.flatnonzero(evidence.rows["dead"] == 1.0)
    return evidence.labels[dead[-1]] if dead.size else None


def alike_units(evidence: Evidence) -> list[Finding]:
    """Units that are copies of each other and get the same gradient: they stay copies."""
    if evidence.beginning is not None:
        return []
    leaves = [leaf for leaf in evidence.leaves if leaf.alike and leaf.labels]
    if not leaves:
        return []
    return [
        Finding(
            "units all alike",
            SEVERE,
            _labels(leaves),
            f"all units of {named([leaf.name for leaf in leaves])} have the same weights and the "
            "same gradient: they compute one thing and always will",
            "Draw these kernels at random.",
            0.0,
            0.0,
            "no difference at all",
        )
    ]
