"""Shapeset-3x2: grey images of one or two shapes, drawn on the device without end.

Glorot & Bengio (2010), section 2.1. The distribution is that of the authors' own generator
(github.com/glorotxa/Shapeset, ``polygongen.py`` with the parameters of ``simpleexemple.py``): one
or two shapes, each a triangle, a parallelogram or an ellipse with equal chance, of random lengths,
slant, rotation, position and grey level. Two pure stages: ``draw_scenes`` draws the geometry,
``paint`` turns it into pixels, and ``sample`` is one after the other.

Inside, the images are the *last* axis until the pixels are painted: every step then runs over
contiguous images, several times as fast on a CPU.
"""

import functools
import math
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.data.stream import Batch, Stream, Task
from glorot_jax.keys import named

CLASS_NAMES = (
    "triangle",
    "parallelogram",
    "ellipse",
    "triangle + parallelogram",
    "parallelogram + ellipse",
    "triangle + ellipse",
    "triangle + triangle",
    "parallelogram + parallelogram",
    "ellipse + ellipse",
)
ORIGIN = (
    "Drawn without end by glorot_jax.data.shapeset, which follows the authors' generator "
    "(github.com/glorotxa/Shapeset); nothing is downloaded."
)

MAX_TRIES = 50  # placements of a second shape before the image keeps one
MAX_OVERLAP = 0.5  # largest estimated share of the first shape that the second may hide
MARGIN = 1  # pixels between every shape and the border
MIN_SIZE = 10  # the longest shape, 0.8 of the side, still fits between the margins

_SIDES = (3, 4, 20)  # triangle, parallelogram, ellipse
_VERTICES = max(_SIDES)
_PAIR_CLASS = np.array([[6, 3, 5], [3, 7, 4], [5, 4, 8]], np.int32)  # [first kind, second kind]
# A regular n-gon's share of the area of the circle around it.
_AREA_RATIO = np.array([n * math.sin(2 * math.pi / n) / (2 * math.pi) for n in _SIDES], np.float32)
_HALF_ANGLE = np.array([math.pi / n for n in _SIDES], np.float32)


def _regular_polygons() -> np.ndarray:
    """Vertices [kind, xy, 20] on the circle of radius 0.5, base horizontal, the last repeated."""
    vertices = np.empty((len(_SIDES), 2, _VERTICES), np.float32)
    for kind, sides in enumerate(_SIDES):
        index = np.minimum(np.arange(_VERTICES), sides - 1)
        angle = 2 * np.pi * ((index + 0.5) / sides + 0.25)
        vertices[kind] = 0.5 * np.stack([np.cos(angle), np.sin(angle)])
    return vertices


_POLYGONS = _regular_polygons()


class Shapes(NamedTuple):
    """n shapes, one an image; lengths in pixels, angles in radians, n the *last* axis.

    Attributes:
      kind: [n] int32; 0 triangle, 1 parallelogram, 2 ellipse (a 20-gon).
      tilt: [n] float32; the rotation of the regular polygon before its axes are scaled.
      turn: [n] float32; the rotation after its base is made horizontal again.
      axes: [2, n] float32; the lengths a >= b to which the axes x and y are scaled.
      vertices: [2, 20, n] float32; (x, y) relative to the centre, in turning order. A shape of
        fewer than 20 vertices repeats its last.
      centre: [2, n] float32; (x, y), where pixel i covers [i, i + 1).
    """

    kind: jax.Array
    tilt: jax.Array
    turn: jax.Array
    axes: jax.Array
    vertices: jax.Array
    centre: jax.Array


class Scenes(NamedTuple):
    """n images before painting: ``second`` is there where ``pair`` [n] holds, and lies on top.

    ``levels`` [3, n] float32 in [0, 1] are the greys of the background and of the two shapes.
    """

    first: Shapes
    second: Shapes
    pair: jax.Array
    levels: jax.Array


def sample(
    key: jax.Array, n: int, /, *, size: int = 32, pixel_range: tuple[float, float] = (-1.0, 1.0)
) -> Batch:
    """Draws n labelled images.

    The same key gives the same images; alone, in a ``vmap`` and in a loop they agreed bit for bit
    over 100 000 images. (Only the order of float32 roundings could tell two compilations apart: a
    vertex on the very edge of a pixel, 2 images in 100 000 with ``jit`` disabled.)

    Args:
      key: a random key.
      n: number of images.
      size: pixels a side, at least 10. Lengths scale with it; the margin stays one pixel.
      pixel_range: what black and white become. The authors' example uses (-1, 1).

    Returns:
      ``x`` [n, size * size] float32, pixel (x, y) at x * size + y as in the authors' arrays, and
      ``y`` [n] int32, indices of ``CLASS_NAMES``.

    Raises:
      ValueError: ``n`` or ``size`` is too small, or ``pixel_range`` is not an increasing pair.
    """
    n, size, pixel_range = _count("n", n), _checked_size(size), _checked_range(pixel_range)
    return _sample(key, n, size, pixel_range)


def stream(
    *, block_size: int = 1000, size: int = 32, pixel_range: tuple[float, float] = (-1.0, 1.0)
) -> Stream:
    """Draws a fresh block at every step; the state is a random key. Arguments as in ``sample``.

    Raises:
      ValueError: as in ``sample``; ``block_size`` is not positive.
    """
    block_size = _count("block_size", block_size)
    return _stream(block_size, _checked_size(size), _checked_range(pixel_range))


@functools.cache  # one function, so that all that draw the same share a compiled program
def _stream(block_size: int, size: int, pixel_range: tuple[float, float]) -> Stream:
    def next_block(arrays: tuple[()], key: jax.Array) -> tuple[jax.Array, Batch]:
        del arrays
        key, now = jax.random.split(key)
        return key, _sample(now, block_size, size, pixel_range)

    return Stream(lambda key: key, next_block, block_size)


def task(
    key: jax.Array,
    /,
    *,
    block_size: int = 1000,
    size: int = 32,
    pixel_range: tuple[float, float] = (-1.0, 1.0),
    validation: int = 10_000,
    test: int = 10_000,
) -> Task:
    """An endless training stream with held-out sets of ``validation`` and ``test`` images.

    ``key`` fixes the held-out sets; it may also start the training stream, whose images differ.

    Raises:
      ValueError: as in ``stream``; ``validation`` or ``test`` is not positive.
    """
    train = stream(block_size=block_size, size=size, pixel_range=pixel_range)
    sizes = _count("validation", validation), _count("test", test)
    # One draw for both: a second number of images would be a second program to compile.
    both = sample(named(key, "held out"), sum(sizes), size=size, pixel_range=pixel_range)
    cut = sizes[0]
    validation_set, test_set = Batch(both.x[:cut], both.y[:cut]), Batch(both.x[cut:], both.y[cut:])
    return Task(
        name="shapeset",
        class_names=CLASS_NAMES,
        train=train,
        validation=validation_set,
        test=test_set,
        image_shape=(size, size, 1),
        origin=ORIGIN,
        pixel_range=_checked_range(pixel_range),
        column_major=True,
    )


def draw_scenes(key: jax.Array, n: int, /, *, size: int = 32) -> Scenes:
    """Draws the geometry and the grey levels of n images for ``paint``, which see."""
    base, again = jax.random.split(key)
    u = jax.random.uniform(base, (15, n), jnp.float32)
    kind = jnp.floor(3 * u[:2]).astype(jnp.int32)
    tilt = [(2 * u[2 + i] - 1) * _by_kind(kind[i], _HALF_ANGLE) for i in range(2)]
    turn = 2 * math.pi * u[4:6]
    first = _place(kind[0], tilt[0], turn[0], u[6:10], size)
    wanted = u[10] < 0.5
    second, settled = _place_second(again, kind[1], tilt[1], turn[1], first, wanted, size)

    light = u[11] < 0.5
    is_light = jnp.stack([light, ~light, ~light])
    levels = jnp.where(is_light, 0.55, 0.0) + 0.45 * u[12:]
    return Scenes(first, second, wanted & settled, levels)


def paint(
    scenes: Scenes, /, *, size: int = 32, pixel_range: tuple[float, float] = (-1.0, 1.0)
) -> Batch:
    """Paints scenes drawn for the same ``size``. Arguments and result as in ``sample``.

    The rule is the one of the authors' program (``pygame.draw.polygon``, pixel for pixel as in
    pygame 2.6.1): vertices are truncated to whole pixels, and at each y the pixels are painted
    from the one of the leftmost crossing with the outline to that of the rightmost, both included.
    A shape thus covers more pixels than its area: 18% more for triangles, 12% for parallelograms
    and 10% for ellipses at 32 x 32.
    """
    first, second = _spans(scenes.first, size), _spans(scenes.second, size)
    # Without the barrier XLA recomputes a row's span at each of its pixels.
    spans = jax.lax.optimization_barrier((*first, *second))
    left, right, left_on_top, right_on_top = (span.T[:, None, :] for span in spans)
    column = jnp.arange(size, dtype=jnp.float32)[None, :, None]
    on_first = (column >= left) & (column <= right)
    on_second = (column >= left_on_top) & (column <= right_on_top) & scenes.pair[:, None, None]

    low, high = pixel_range
    background, one, two = (low + (high - low) * scenes.levels)[:, :, None, None]
    x = jnp.where(on_second, two, jnp.where(on_first, one, background))
    kind, kind_on_top = scenes.first.kind, scenes.second.kind
    y = jnp.where(scenes.pair, jnp.asarray(_PAIR_CLASS)[kind, kind_on_top], kind)
    return Batch(x.reshape(-1, size * size), y)


def estimated_overlap(first: Shapes, second: Shapes, /) -> jax.Array:
    """The authors' estimate [n] of the share of ``first`` that ``second`` hides; 0 if apart.

    With d the distance between the centres and p the sum of how far each shape reaches towards
    the other, area2 / area1 * (1 - 2^(-(p - d) / d)) where p >= d.
    """
    between = second.centre - first.centre
    distance = jnp.maximum(jnp.sqrt((between * between).sum(axis=0)), 1e-6)
    x, y = (between / distance[None])[:, None]
    reach = (first.vertices[0] * x + first.vertices[1] * y).max(axis=0)
    reach -= (second.vertices[0] * x + second.vertices[1] * y).min(axis=0)
    area, area_on_top = (
        s.axes[0] * s.axes[1] * _by_kind(s.kind, _AREA_RATIO) for s in (first, second)
    )
    hidden = area_on_top / area * (1 - jnp.exp2((distance - reach) / distance))
    return jnp.where(reach >= distance, hidden, 0.0)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _sample(key, n, size, pixel_range):
    return paint(draw_scenes(key, n, size=size), size=size, pixel_range=pixel_range)


def _by_kind(kind: jax.Array, table: np.ndarray) -> jax.Array:
    """Entries [..., n] of ``table`` [3, ...] for kinds [n]; selects are faster than a gather."""
    kind = kind.reshape((1,) * (table.ndim - 1) + kind.shape)
    triangle, parallelogram, ellipse = jnp.asarray(table)[..., None]
    return jnp.where(kind == 0, triangle, jnp.where(kind == 1, parallelogram, ellipse))


def _rotate(x: jax.Array, y: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    return jnp.stack([cos * x - sin * y, sin * x + cos * y])


def _place(kind, tilt, turn, u: jax.Array, size: int) -> Shapes:
    """Scales and positions n shapes by the uniforms ``u`` [4, n]."""
    lengths = size * (0.2 + 0.6 * u[:2])
    axes = jnp.stack([lengths.max(axis=0), lengths.min(axis=0)])
    # The rotation by turn - atan(slope): level the base that tilting and scaling left sloped.
    slope = axes[1] / axes[0] * jnp.tan(tilt)
    cos = 1 / jnp.sqrt(1 + slope * slope)
    cos, sin = _rotate(cos, -slope * cos, jnp.cos(turn), jnp.sin(turn))
    # One matrix a shape, and a barrier lest XLA work it out again for each of the 20 vertices.
    x_column = _rotate(axes[0] * jnp.cos(tilt), axes[1] * jnp.sin(tilt), cos, sin)
    y_column = _rotate(-axes[0] * jnp.sin(tilt), axes[1] * jnp.cos(tilt), cos, sin)
    x_column, y_column = jax.lax.optimization_barrier((x_column, y_column))
    x, y = _by_kind(kind, _POLYGONS)
    vertices = x_column[:, None] * x[None] + y_column[:, None] * y[None]

    low = MARGIN - vertices.min(axis=1)
    high = size - MARGIN - vertices.max(axis=1)
    return Shapes(kind, tilt, turn, axes, vertices, low + u[2:] * (high - low))


def _place_second(
    key, kind, tilt, turn, first: Shapes, wanted: jax.Array, size: int
) -> tuple[Shapes, jax.Array]:
    """Redraws scale and position until no second shape hides too much: (shapes, settled [n]).

    Two in five first tries fail and a few images in a thousand need more than fifteen. So after
    one round for all, the loop takes a sixteenth of the images at a time, open ones first.
    """
    n = kind.shape[0]
    some = -(-n // 16)

    def attempt(step, shape, first):
        u = jax.random.uniform(jax.random.fold_in(key, step), (4, shape[0].shape[0]), jnp.float32)
        return u, estimated_overlap(first, _place(*shape, u, size)) <= MAX_OVERLAP

    def is_open(tries):  # tries that failed so far; 0 is settled
        return (tries > 0) & (tries < MAX_TRIES)

    def redraw(carry):
        step, tries, kept = carry
        rows = jnp.nonzero(is_open(tries), size=some, fill_value=n)[0]
        taken = jax.tree.map(
            lambda leaf: leaf.at[..., rows].get(mode="clip"), (shape, first, tries)
        )
        u, fits = attempt(step, *taken[:2])
        tries = tries.at[rows].set(jnp.where(fits, 0, taken[2] + 1), mode="drop")
        return step + 1, tries, kept.at[:, rows].set(u, mode="drop")

    shape = (kind, tilt, turn)
    kept, fits = attempt(0, shape, first)
    tries = (wanted & ~fits).astype(jnp.int32)
    carry = (jnp.int32(1), tries, kept)
    _, tries, kept = jax.lax.while_loop(lambda carry: is_open(carry[1]).any(), redraw, carry)
    return _place(*shape, kept, size), tries == 0


def _spans(shapes: Shapes, size: int) -> tuple[jax.Array, jax.Array]:
    """First and last column [size, n] that every row covers; an uncovered row has first > last."""
    start = jnp.floor(shapes.vertices + shapes.centre[:, None])
    start = jnp.clip(start, MARGIN, size - 1 - MARGIN)  # against rounding
    end = jnp.roll(start, -1, axis=1)
    x, y = start[:, None]
    run, rise = (end - start)[:, None]
    row = jnp.arange(size, dtype=jnp.float32)[:, None, None]
    # All numbers are whole: the half keeps the later floor right however the quotient is rounded.
    steps = (row - y) * run * jnp.sign(rise) + 0.5
    column = x + steps / jnp.maximum(jnp.abs(rise), 1.0)
    low, high = jnp.minimum(y, y + rise), jnp.maximum(y, y + rise)
    crosses = (row >= low) & (row <= high) & (rise != 0)
    left = jnp.where(crosses, column, jnp.inf).min(axis=1)
    right = jnp.where(crosses, column, -jnp.inf).max(axis=1)
    return jnp.floor(left), jnp.floor(right)


def _count(field: str, value: int) -> int:
    if operator.index(value) < 1:
        raise ValueError(f"{field}: {value} is not a positive whole number of images")
    return operator.index(value)


def _checked_size(size: int) -> int:
    if operator.index(size) < MIN_SIZE:
        raise ValueError(f"size: {size} is not a whole number of pixels of at least {MIN_SIZE}")
    return operator.index(size)


def _checked_range(pixel_range: tuple[float, float]) -> tuple[float, float]:
    pair = tuple(pixel_range)
    if len(pair) != 2 or not -math.inf < pair[0] < pair[1] < math.inf:
        raise ValueError(
            f"pixel_range: {pixel_range} is not an increasing pair of numbers, such as (-1.0, 1.0)"
        )
    return float(pair[0]), float(pair[1])
