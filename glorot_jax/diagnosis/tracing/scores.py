"""The scores of attention: products of two signals, which no site is, exposed as values."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

import jax

from glorot_jax.diagnosis.tracing.layout import Block
from glorot_jax.diagnosis.tracing.meshes import filled, shape_of
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.diagnosis.tracing.stations import SoftmaxPlace, find_landmarks

Key: TypeAlias = tuple[Any, ...]
_SCORES = -3  # first in a key: of no site, station or softmax


@dataclass(frozen=True)
class Scores:
    """What an attention's softmax takes, masks included.

    ``feeding``: the sites behind it, which ``name`` names. ``value``: its shape at one step of
    ``steps``, the lengths of the scans around it; ``axis``: along which the softmax is taken.
    """

    name: str
    feeding: tuple[str, ...]
    key: Key
    value: jax.ShapeDtypeStruct
    steps: tuple[int, ...]
    axis: int

    @property
    def labels(self) -> tuple[str, ...]:
        """One a step."""
        if not self.steps:
            return (self.name,)
        return tuple(f"{self.name}[{step}]" for step in range(prod(self.steps)))

    def zeros(self) -> jax.Array:
        """A perturbation that changes nothing."""
        return filled(shape_of(self.value, (*self.steps, *self.value.shape)))


def expose_scores(traced: Traced) -> tuple[Traced, tuple[Scores, ...]]:
    """``traced`` with a block that shows the scores of every attention, and what they are.

    ``Traced.expose`` takes ``zeros()`` by ``key`` and shows the values under it. Scores that are a
    site's own s, as where a query is a parameter, are left out.
    """
    params, _ = jax.tree.unflatten(traced.structure, range(traced.structure.num_leaves))
    marks = find_landmarks(traced.block, len(jax.tree.leaves(params)), traced.n)
    block = _with_scores(marks.block)
    there = set(_stations(block))
    places = [place for place in marks.softmaxes if _key(place.key) in there]
    names = {site.order: site.name for site in traced.sites}
    scores: list[Scores] = []
    used: set[str] = set()
    for place in places:
        feeding = tuple(names[order] for order in place.feeding)
        name = _free(f"scores({', '.join(feeding)})", used)
        scores.append(_scores(name, feeding, place))
    return replace(traced, block=block), tuple(scores)


def _scores(name: str, feeding: tuple[str, ...], place: SoftmaxPlace) -> Scores:
    shape = shape_of(place.equation.logits.aval)
    return Scores(name, feeding, _key(place.key), shape, place.steps, place.equation.axis)


def _free(name: str, used: set[str]) -> str:
    """``name``, numbered from its second use on."""
    count = 1
    while (numbered := name if count == 1 else f"{name} #{count}") in used:
        count += 1
    used.add(numbered)
    return numbered


def _key(softmax: Key) -> Key:
    return (_SCORES, *softmax[1:])


def _with_scores(block: Block) -> Block:
    """``block`` with the equations that complete scores as its stations, and no other ones."""
    made = {
        out: index for index, eqn in enumerate(block.closed.jaxpr.eqns) for out in eqn.outvars[:1]
    }
    stations: dict[int, Key] = {}
    for key, softmax in block.softmaxes.values():
        index = made.get(softmax.logits)
        if softmax.role != "attention" or index is None:
            continue
        if index not in block.exposed and index not in block.inner:
            stations[index] = _key(key)
    inner = {
        index: tuple(_with_scores(one) for one in blocks) for index, blocks in block.inner.items()
    }
    return replace(block, inner=inner, stations=stations, softmaxes={})


def _stations(block: Block) -> Iterator[Key]:
    yield from block.stations.values()
    for blocks in block.inner.values():
        for one in blocks:
            yield from _stations(one)
