"""One net examined piece by piece, for more examples than memory holds the signals of."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.examination import Examination, Examined, Piece, examination
from glorot_jax.diagnosis.measuring.merging import Part, merged, narrowed, widened
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.diagnosis.tracing.sites import Traced, named_leaves
from glorot_jax.typing import ApplyFn, PyTree

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pieces:
    """Examples (x, y) cut into ``data``; ``traced``: the model for the first piece of them.

    ``examine``: from params to what one pass over all the examples would show, on the host.
    """

    data: Sequence[tuple[PyTree, PyTree]]
    traced: Traced
    examine: Callable[[PyTree], Examined]


def piece_sizes(n: int, batch: int) -> list[int]:
    """How ``n`` examples are cut, none of the pieces larger than ``batch``.

    All of one size if there is one above half of ``batch``, so that one program does for all;
    else of two sizes next to each other. None is of one example, which ``trace`` doesn't take: 2 at
    a time of an odd number are 3 once.

    Example:
      >>> piece_sizes(300, 64), piece_sizes(7, 4)
      ([60, 60, 60, 60, 60], [4, 3])

    Raises:
      ValueError: ``batch`` is less than 2.
    """
    if isinstance(batch, bool) or not isinstance(batch, (int, np.integer)) or batch < 2:
        raise ValueError(f"batch: {batch} is not a number of examples, 2 or more")
    if batch >= n:
        return [n]
    even = [size for size in range(max(batch // 2, 1) + 1, batch + 1) if n % size == 0]
    if even:
        return [even[-1]] * (n // even[-1])
    count = min(-(-n // batch), n // 2)
    return [n // count + (index < n % count) for index in range(count)]


def in_pieces(
    apply_fn: ApplyFn[Any],
    params: PyTree,
    x: PyTree,
    y: PyTree,
    /,
    whole: Examination,
    *,
    batch: int | None,
    signal: Sequence[str] = (),
) -> Pieces:
    """The examination of a model by pieces of up to ``batch`` examples; at once without it.

    ``whole``: of all examples; it is not run if there are pieces.

    Raises:
      ValueError: ``batch`` is less than 2; an array of x or y has no axis of the examples; the
        loss or the model doesn't take fewer of them, or is another program then.
    """
    n = whole.traced.n
    sizes = [n] if batch is None else piece_sizes(n, batch)
    if len(sizes) == 1:
        measure = _measuring(whole)
        return Pieces([(x, y)], whole.traced, lambda net: whole.whole(measure(net, x, y)))
    data = _cut(x, y, n, sizes)
    exams: dict[int, Examination] = {}
    for size, (some_x, some_y) in zip(sizes, data, strict=True):
        if size not in exams:
            exams[size] = _of_some(apply_fn, params, some_x, some_y, whole, signal)
    first = exams[sizes[0]]
    for exam in exams.values():
        _check_same(whole, first, exam)
    programs = {size: _measuring(exam) for size, exam in exams.items()}
    joined = _joining(whole.traced, first.traced)

    def examine(net: PyTree) -> Examined:
        done: Part | None = None
        outputs, like = [], None
        for size, some in zip(sizes, data, strict=True):
            before = done.n if done else 0
            _log.info("measuring examples %d to %d of %d", before + 1, before + size, n)
            piece = programs[size](net, *some)
            part = widened(piece, size, before, n)
            done = merged(done, part) if done else part
            outputs.append(piece.outputs)
            like = like or piece
        assert done is not None
        assert like is not None
        examined = first.whole(narrowed(done, like))
        return examined._replace(outputs=joined(outputs, sizes))

    return Pieces(data, first.traced, examine)


def _measuring(exam: Examination) -> Callable[..., Piece]:
    """``exam.piece`` with its results on the host, reduced there where the signals are there."""
    if jax.default_backend() != "cpu":
        on_device = compiled_once(exam.piece)
        return lambda *given: jax.device_get(on_device(*given))
    signals = compiled_once(exam.exposed)
    return lambda *given: exam.reduced(jax.device_get(signals(*given)))


def _cut(x: PyTree, y: PyTree, n: int, sizes: Sequence[int]) -> list[tuple[PyTree, PyTree]]:
    for whole, tree in (("x", x), ("y", y)):
        for name, leaf in named_leaves(whole, tree):
            shape = np.shape(leaf)
            if shape[:1] != (n,):
                raise ValueError(
                    f"batch: {name} is {list(shape)}, without an axis of the {n} examples first, "
                    "and can't be cut: leave batch out"
                )
    stops = np.cumsum(sizes).tolist()
    return [
        jax.tree.map(lambda a, stop=stop, size=size: a[stop - size : stop], (x, y))
        for stop, size in zip(stops, sizes, strict=True)
    ]


def _of_some(
    apply_fn: ApplyFn[Any],
    params: PyTree,
    x: PyTree,
    y: PyTree,
    whole: Examination,
    signal: Sequence[str],
) -> Examination:
    try:
        traced = trace_with_costs(apply_fn, params, x, y, loss=whole.loss, signal=signal)
    except ValueError as error:
        n = len(jax.tree.leaves(x)[0])
        raise ValueError(f"batch: with {n} examples, {error}") from error
    return examination(traced, whole.loss, whole.bins, differentiable=whole.differentiable)


def _check_same(whole: Examination, first: Examination, other: Examination) -> None:
    same = (
        other.traced.rows() == whole.traced.rows()
        and other.traced.layout.alike == first.traced.layout.alike
        and other.landmarks.courses == whole.landmarks.courses
        and [one.key for one in other.landmarks.stations]
        == [one.key for one in whole.landmarks.stations]
        and [one.key for one in other.landmarks.softmaxes]
        == [one.key for one in whole.landmarks.softmaxes]
    )
    if not same:
        raise ValueError(
            f"batch: the model's program for {other.traced.n} examples is not that for "
            f"{whole.traced.n}: give another number of them, or none"
        )


def _joining(whole: Traced, some: Traced) -> Callable[[Sequence[PyTree], Sequence[int]], PyTree]:
    """Outputs of pieces to those of all: one after the other, or the mean of what they share."""
    shapes = [
        (a.shape, b.shape)
        for a, b in zip(jax.tree.leaves(whole.outputs), jax.tree.leaves(some.outputs), strict=True)
    ]

    def join(index: int, leaves: Sequence[Any], sizes: Sequence[int]) -> Any:
        of_all, of_some = shapes[index]
        if of_all[:1] == (whole.n,) and of_some[:1] == (some.n,):
            return np.concatenate(leaves)
        mean = np.average(np.stack(leaves), axis=0, weights=sizes)
        return mean.astype(jnp.result_type(leaves[0]))

    def joined(outputs: Sequence[PyTree], sizes: Sequence[int]) -> PyTree:
        leaves = zip(*map(jax.tree.leaves, outputs), strict=True)
        whole = [join(index, one, sizes) for index, one in enumerate(leaves)]
        return jax.tree.unflatten(jax.tree.structure(outputs[0]), whole)

    return joined
