"""Stations: values that the whole signal passes, exposed beside the sites when a model is run.

In a plain network the sites are stations themselves; in a residual one it is the sums. Along a
chain of them a profile speaks of the network and not of one branch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import jax
from jax.extend import core

from glorot_jax.diagnosis.tracing import graph
from glorot_jax.diagnosis.tracing.jaxpr import scan_options, scan_parts, variables
from glorot_jax.diagnosis.tracing.landmarks import nearest, softmaxes
from glorot_jax.diagnosis.tracing.layout import Block, Order, SoftmaxEquation
from glorot_jax.diagnosis.tracing.meshes import filled, shape_of

Key: TypeAlias = tuple[Any, ...]
Step: TypeAlias = tuple[int, ...]
# First in a key, so that it differs from those of sites and can be sorted among them.
_STATION, _SOFTMAX = -1, -2


@dataclass(frozen=True)
class Station:
    """A value that is exposed. ``key``: its place, as perturbations and what is seen name it.

    ``axis``: of the examples, None where it isn't known.
    """

    key: Key
    value: jax.ShapeDtypeStruct
    steps: tuple[int, ...]
    axis: int | None = None


@dataclass(frozen=True)
class Stop:
    """One stop of a course: a station, or a site's s, by ``key``; ``site``: the last one before it.

    ``step``: which of the scans' steps around it.
    """

    key: Key
    site: Order
    step: Step = ()


@dataclass(frozen=True)
class Course:
    """Stops that the signal passes one after the other; ``of_time``: steps of one recurrence."""

    stops: tuple[Stop, ...]
    of_time: bool


@dataclass(frozen=True)
class SoftmaxPlace:
    """A softmax in the model. ``feeding``: the nearest sites behind its logits, in its function."""

    key: Key
    equation: SoftmaxEquation
    size: int
    steps: tuple[int, ...]
    feeding: tuple[Order, ...]


@dataclass(frozen=True)
class Landmarks:
    """A model's block with stations and softmaxes exposed, and what they are."""

    block: Block
    stations: tuple[Station, ...]
    courses: tuple[Course, ...]
    softmaxes: tuple[SoftmaxPlace, ...]

    def perturbations(self) -> dict[Key, jax.Array]:
        """Zeros shaped like each station, the steps of the scans around it first."""
        return {
            one.key: filled(shape_of(one.value, (*one.steps, *one.value.shape)))
            for one in self.stations
        }


class _Draft:
    """What has been found so far."""

    def __init__(self, examples: int) -> None:
        self.examples = examples
        self.stations: dict[Key, Station] = {}
        self.courses: list[Course] = []
        self.softmaxes: list[SoftmaxPlace] = []


def find_landmarks(block: Block, parameters: int, examples: int) -> Landmarks:
    """Landmarks of a model whose first ``parameters`` inputs are parameters, the rest signal."""
    draft = _Draft(examples)
    jaxpr = block.closed.jaxpr
    signal = jaxpr.invars[parameters:]
    marked, chains = _mark(block, signal, signal, jaxpr.outvars, (), (), draft)
    trunk, *others = [Course(tuple(stops), False) for stops in chains] or [Course((), False)]
    others = sorted((one for one in others if len(one.stops) > 1), key=lambda one: -len(one.stops))
    courses = (trunk, *others, *draft.courses)
    return Landmarks(marked, tuple(draft.stations.values()), courses, tuple(draft.softmaxes))


def _mark(
    block: Block,
    signal: Sequence[Any],
    source: Sequence[Any],
    leaving: Sequence[Any],
    place: Order,
    steps: tuple[int, ...],
    draft: _Draft,
) -> tuple[Block, list[list[Stop]]]:
    """``block`` with its landmarks, and the chains of its own level from ``source``."""
    jaxpr = block.closed.jaxpr
    carrying = _carrying(jaxpr, signal)
    inner, ways = dict(block.inner), {}
    for index, blocks in block.inner.items():
        inner[index], ways[index] = _mark_inner(
            jaxpr.eqns[index], blocks, carrying, (*place, index), steps, draft
        )
    soft = _mark_softmaxes(block, carrying, place, steps, draft)
    level = graph.level(jaxpr, source, leaving)
    stations: dict[int, Key] = {}
    chains = []
    for chain in graph.stations(level, sorted({*block.exposed, *block.inner})):
        stops: list[Stop] = []
        for index, holder in chain:
            if index in block.exposed:
                order = block.exposed[index].site
                stops.append(Stop(order, order))
            elif index in block.inner:
                stops.extend(ways[index])
            elif graph.is_inexact(value := jaxpr.eqns[index].outvars[0].aval):
                key = stations.setdefault(index, (_STATION, *place, index))
                shape = shape_of(value)
                axis = _example_axis(value.shape, draft.examples)
                draft.stations.setdefault(key, Station(key, shape, steps, axis))
                stops.append(Stop(key, _last_site(block, holder)))
        chains.append(stops)
    return replace(block, inner=inner, stations=stations, softmaxes=soft), chains


def _mark_softmaxes(
    block: Block, carrying: set[Any], place: Order, steps: tuple[int, ...], draft: _Draft
) -> dict[int, tuple[Key, SoftmaxEquation]]:
    jaxpr = block.closed.jaxpr
    sites = {jaxpr.eqns[end].outvars[0]: one.site for end, one in block.exposed.items()}
    marked = {}
    for found in softmaxes(
        jaxpr, lambda atom: not isinstance(atom, core.Literal) and atom in carrying
    ):
        key: Key = (_SOFTMAX, *place, found.index)
        marked[found.index] = (key, found)
        feeding = tuple(dict.fromkeys(nearest(jaxpr, found.logits, sites)))
        size = found.logits.aval.shape[found.axis]
        draft.softmaxes.append(SoftmaxPlace(key, found, size, steps, feeding))
    return marked


def _example_axis(shape: tuple[int, ...], examples: int) -> int | None:
    """The first axis as long as there are examples: nearly always axis 0."""
    return next((axis for axis, size in enumerate(shape) if size == examples), None)


def _last_site(block: Block, holder: int) -> Order:
    if holder in block.exposed:
        return block.exposed[holder].site
    orders = [site for inner in block.inner[holder] for site in inner.sites]
    return max(orders, key=lambda order: [-1 if index is None else index for index in order])


def _mark_inner(
    eqn: core.JaxprEqn,
    blocks: tuple[Block, ...],
    carrying: set[Any],
    place: Order,
    steps: tuple[int, ...],
    draft: _Draft,
) -> tuple[tuple[Block, ...], list[Stop]]:
    """The functions inside an equation, and the stops that the signal makes on its way through.

    A scan whose steps have kernels of their own is layers. One that takes in a part of the signal
    at each step, or has the same kernels at all, is time: a course of its own.
    """
    if eqn.primitive.name != "scan":
        return blocks, []
    (block,) = blocks
    body = block.closed.jaxpr
    flags = [not isinstance(atom, core.Literal) and atom in carrying for atom in eqn.invars]
    consts, carry, xs = scan_parts(eqn, flags)
    signal = [v for v, flag in zip(body.invars, flags, strict=True) if flag]
    carried = body.invars[len(consts) : len(consts) + len(carry)]
    leaving = body.outvars[: len(carry)]
    options = scan_options(eqn)
    length = options["length"]
    within = (*steps, length)
    # What is carried becomes signal with the first step, if it isn't before.
    marked, chains = _mark(
        block, [*signal, *carried], carried, leaving, (*place, None), within, draft
    )
    turns = range(length - 1, -1, -1) if options["reverse"] else range(length)
    trunk = chains[0] if chains else []
    stops = [replace(stop, step=(turn, *stop.step)) for turn in turns for stop in trunk]
    of_time = any(xs) or block.shared >= frozenset(block.sites)
    if of_time and not steps and stops:
        draft.courses.append(Course(tuple(stops), True))
    return (marked,), [] if of_time else stops


def _carrying(jaxpr: core.Jaxpr, signal: Sequence[Any]) -> set[Any]:
    carrying = set(variables(signal))
    for eqn in jaxpr.eqns:
        if carrying & variables(eqn.invars):
            carrying.update(eqn.outvars)
    return carrying
