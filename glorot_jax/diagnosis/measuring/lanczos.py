"""Singular values of linear operators known by their products alone: Golub-Kahan-Lanczos.

From a random start vector v, m steps of bidiagonalisation give the Gauss rule of m nodes for
v'f(A'A)v, whose expectation is the trace of f(A'A). For f the square root Gauss is never
below and the Gauss-Radau rule with a node at 0 never above (Golub and Meurant 2010, chapter 6):
the two bracket the mean singular value. Where the density at 0 is positive, as it is for square
random matrices, their errors fall as 1/m^2 in the ratio 1 to -2, so that a third of the bracket
from Gauss the leading terms cancel.

The products are compiled; the steps are taken one after the other from outside, because a program
of them all takes seconds to compile and no less to run. A counts as having
k = min(inputs, outputs) singular values, zeros among them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from glorot_jax.diagnosis.arrays import Array, einsum, namespace

MATVECS = 20
# Added on the diagonal. A spectrum of few different values (0, an isometry) would end the
# iteration early. No two of these are alike, and no singular value moves by more (Weyl).
_PERTURBATION = 1e-6

# Directions for each step up to which the vectors are made orthogonal anew. Among more of them
# rounding hardly brings back what was found before, and it would take most of the time.
FEW = 50
_TURNS = 4  # of making a vector orthogonal, at most

Product: TypeAlias = Callable[[Array], Array]


class Operator(NamedTuple):
    """A linear operator of each of n examples, applied to all of them at once, in float32.

    ``apply`` takes vectors [n, inputs] to [n, outputs], and ``transpose`` takes them back.
    """

    apply: Product
    transpose: Product
    inputs: int
    outputs: int

    def from_its_smaller_side(self) -> "Operator":
        """This one or its transpose, whichever has no more inputs than outputs."""
        if self.inputs <= self.outputs:
            return self
        return Operator(self.transpose, self.apply, self.outputs, self.inputs)


class Bidiagonal(NamedTuple):
    """``diagonal`` [.., m], and ``above`` [.., m] it, whose last leads out of the m steps.

    ``k``: how many singular values each operator has.
    """

    diagonal: np.ndarray
    above: np.ndarray
    k: int


def signs(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random signs, +1 and -1."""
    return random.choice(np.array([-1, 1], np.float32), size=shape)


@np.errstate(all="ignore")  # what isn't finite is NaN in the end
def bidiagonal(operator: Operator, start: Array, /, *, matvecs: int) -> Bidiagonal:
    """Lanczos steps of each example's operator from its ``start`` [n, k], random signs.

    At most k steps are made. Finite whatever the rank.
    """
    xp = namespace(start)
    short = operator.from_its_smaller_side()
    k = short.inputs
    # Uneven, so that no row of equal weights is orthogonal to it.
    scale = _scale(short, start * xp.linspace(1, 2, k, dtype=np.float32)[None])[:, None]
    divisor = or_one(scale)
    added = xp.linspace(_PERTURBATION / 2, _PERTURBATION, k, dtype=np.float32)[None]

    def forth(v: Array) -> Array:
        return short.apply(v) / divisor + xp.pad(added * v, ((0, 0), (0, short.outputs - k)))

    def back(u: Array) -> Array:
        return short.transpose(u) / divisor + added * u[:, :k]

    count = min(matvecs, k)
    kept = vectors_kept(k, matvecs)
    lefts, rights = (_Directions(xp, kept, len(start), size) for size in (short.outputs, k))
    diagonal, above = [], []
    v = start / np.sqrt(np.float32(k))
    for _ in range(count):
        rights.add(v)
        u, length = lefts.new(forth(v))
        lefts.add(u)
        diagonal.append(length)
        v, length = rights.new(back(u))
        above.append(length)
    scale = np.asarray(scale, np.float64)
    return Bidiagonal(scale * np.stack(diagonal, axis=-1), scale * np.stack(above, axis=-1), k)


class _Directions:
    """Unit vectors [n, size] that were found, the last ``kept`` of them."""

    def __init__(self, xp: Any, kept: int, n: int, size: int) -> None:
        self._xp, self._kept = xp, kept
        self._found = xp.zeros((n, kept, size), np.float32)
        self._count = 0

    def add(self, unit: Array) -> None:
        place = self._count % self._kept
        if self._xp is np:
            self._found[:, place] = unit
        else:
            self._found = jax.lax.dynamic_update_index_in_dim(self._found, unit, place, axis=1)
        self._count += 1

    def new(self, vector: Array) -> tuple[Array, Array]:
        """The direction, [n, size], and length, [n], of what is orthogonal to those kept."""
        # JAX would compile each step anew; zeros change nothing.
        found = self._found[:, : self._count] if self._xp is np else self._found
        length = _length(vector)
        # Rounding leaves something where much is taken away: then it is taken away again.
        for _ in range(_TURNS):
            before = length
            along = einsum("nmk,nk->nm", found, vector)
            vector = vector - einsum("nmk,nm->nk", found, along)
            length = _length(vector)
            if not (length < before / 2).any():
                break
        return vector / or_one(length)[:, None], length


def _length(rows: Array) -> Array:
    return namespace(rows).sqrt(_dot(rows, rows))


def _dot(a: Array, b: Array) -> Array:
    return einsum("nk,nk->n", a, b)


def held_orthogonal(directions: int, matvecs: int) -> bool:
    """Whether the Lanczos vectors of so many directions are made orthogonal to all before."""
    return directions <= FEW * matvecs


def vectors_kept(directions: int, matvecs: int) -> int:
    """How many Lanczos vectors are there at once on either side."""
    return min(matvecs, directions) if held_orthogonal(directions, matvecs) else 1


def _scale(operator: Operator, v: Array) -> Array:
    """Near the largest singular values [n], from below."""
    made = operator.apply(v)
    return _norm(operator.transpose(made / or_one(_norm(made))[:, None]))


def _norm(rows: Array) -> Array:
    # The squares of small values underflow: gradients that vanished may be 1e-30.
    xp = namespace(rows)
    largest = xp.max(xp.abs(rows), axis=1)
    scaled = rows / or_one(largest)[:, None]
    return largest * xp.sqrt(_dot(scaled, scaled))


def or_one(value: Array) -> Array:
    """The value, or 1 in the place of 0."""
    return namespace(value).where(value == 0, 1, value)
