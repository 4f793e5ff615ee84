"""What passes over some of the examples show, merged into what one pass over all would.

Done on the host in float64, and exact but for rounding, save for these. Quantiles of more values
than ``moments.SAMPLE`` are of some from each piece; histograms have the reach of their own piece;
the load of a softmax, and dC/ds where the examples have one s in common, are means over the pieces.
A branch that one piece takes and another doesn't is NaN.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from glorot_jax.diagnosis.arrays import in_double
from glorot_jax.diagnosis.measuring.examination import Piece
from glorot_jax.diagnosis.measuring.moments import SAMPLE, Units

Array: TypeAlias = np.ndarray[Any, Any]
Merge: TypeAlias = Callable[[Array, Array, float, float], Array]  # of two, with shares of examples

Change: TypeAlias = Mapping[str, Callable[[Any], Any]]  # by name

_SAMPLES = ("z_quantile", "s_quantile")
_UNITS = ("s_units", "f_units")


class Part(NamedTuple):
    """A piece on the host, and how many examples it is of. Its outputs are left to the caller."""

    n: int
    piece: Any  # a Piece of NumPy's arrays


def widened(piece: Piece, n: int, before: int, total: int) -> Part:
    """A piece of ``n`` examples that come after ``before`` others, of ``total``."""
    share = round(SAMPLE * (before + n) / total) - round(SAMPLE * before / total)
    rng = np.random.default_rng(before)

    def thinned(samples: Array) -> Array:
        """[sites, steps, values], in proportion to the examples; all NaN where one value is."""
        values, counts = samples[..., :-1], samples[..., -1:]
        count = int(np.nanmax(counts, initial=0)) or SAMPLE
        places: Any = slice(count)
        if count * total / n > SAMPLE:
            places = rng.permutation(count)[:share]
        return np.where(np.isnan(counts), np.nan, values[..., places])

    wide: Any = jax.tree.map(_wide, piece._replace(outputs=None))
    change: Change = {**dict.fromkeys(_SAMPLES, thinned), **dict.fromkeys(_UNITS, _unscaled)}
    groups = _changed(wide.groups, change)
    return Part(n, wide._replace(groups=groups))


def merged(first: Part, second: Part) -> Part:
    """Two parts, the first one's examples before the second's, as one."""
    n = first.n + second.n
    shares = first.n / n, second.n / n
    a, b = first.piece, second.piece

    def each(merge: Merge, one: Any, other: Any) -> Any:
        return jax.tree.map(lambda u, v: merge(u, v, *shares), one, other)

    with np.errstate(all="ignore"):
        groups = [
            _one_group(shown, others, *shares)
            for shown, others in zip(a.groups, b.groups, strict=True)
        ]
        piece = a._replace(
            groups=groups,
            costs=np.concatenate([a.costs, b.costs]),
            gradient=each(_sum, a.gradient, b.gradient),
            seen=each(_sum, a.seen, b.seen),
            size=each(_rms, a.size, b.size),
            sensitivity=each(_mean, a.sensitivity, b.sensitivity),
            softmaxes=each(_known_mean, a.softmaxes, b.softmaxes),
        )
    return Part(n, piece)


def narrowed(part: Part, like: Piece) -> Piece:
    """The piece in the types of ``like``, its samples padded as ``moments.sample`` does."""
    piece = part.piece
    change: Change = {**dict.fromkeys(_SAMPLES, _padded), **dict.fromkeys(_UNITS, _scaled)}
    with np.errstate(all="ignore"):
        groups = _changed(piece.groups, change)
        made: Piece = jax.tree.map(
            lambda a, b: a.astype(b.dtype),
            piece._replace(groups=groups),
            like._replace(outputs=None, groups=list(like.groups)),
        )
    return made


def _wide(values: Any) -> Array:
    values = np.asarray(values)
    return values if values.dtype == bool else in_double(values)


def _changed(groups: Any, change: Change) -> list[dict[str, Any]]:
    """Groups with some of their entries in another form."""
    return [
        {name: change[name](entry) if name in change else entry for name, entry in shown.items()}
        for shown in groups
    ]


def _unscaled(units: Any) -> Array:
    scale = np.expand_dims(units.scale, tuple(range(2, units.squares.ndim)))
    squares: Array = units.squares * scale**2
    return squares


def _scaled(squares: Any) -> Units:
    """In each site's and step's own largest, [sites, steps, ..]."""
    scale: Any = squares.reshape(*squares.shape[:2], -1).max(axis=-1)
    scale = np.where(scale > 0, scale, 1.0)
    relative: Any = squares / np.expand_dims(scale, tuple(range(2, squares.ndim)))
    return Units(relative, np.sqrt(scale))


def _padded(values: Array) -> Array:
    values = values[..., :SAMPLE]
    count = values.shape[-1]
    spoilt = np.isnan(values).any(axis=-1, keepdims=True)
    room = [(0, 0)] * (values.ndim - 1) + [(0, SAMPLE - count)]
    padded = np.pad(values, room, constant_values=np.inf)
    return np.concatenate([padded, np.where(spoilt, np.nan, float(count))], axis=-1)


def _one_group(
    first: Mapping[str, Any], second: Mapping[str, Any], share: float, rest: float
) -> dict[str, Any]:
    made = {}
    for name, values in first.items():
        rule = _RULES.get(name, _mean)
        made[name] = jax.tree.map(
            lambda a, b, rule=rule: rule(a, b, share, rest), values, second[name]
        )
    for name, centre in _CENTRES.items():
        apart = np.abs(first[centre] - second[centre])
        if name != "z_feature_std":  # a centre has an axis of its parts
            apart = np.sqrt(np.sum(apart**2, axis=-1))
        made[name] = np.hypot(
            _rms(first[name], second[name], share, rest), np.sqrt(share * rest) * apart
        )
    return made


def _mean(a: Array, b: Array, share: float, rest: float) -> Array:
    return share * a + rest * b


def _known_mean(a: Array, b: Array, share: float, rest: float) -> Array:
    """That of the two which isn't NaN, if only one is."""
    return np.where(np.isnan(a), b, np.where(np.isnan(b), a, _mean(a, b, share, rest)))


def _rms(a: Array, b: Array, share: float, rest: float) -> Array:
    return np.hypot(np.sqrt(share) * a, np.sqrt(rest) * b)


def _sum(a: Array, b: Array, share: float, rest: float) -> Array:
    return a + b


def _norm(a: Array, b: Array, share: float, rest: float) -> Array:
    return np.hypot(a, b)


def _either(a: Array, b: Array, share: float, rest: float) -> Array:
    return a | b


def _same(a: Array, b: Array, share: float, rest: float) -> Array:
    return a


def _one_after_other(a: Array, b: Array, share: float, rest: float) -> Array:
    return np.concatenate([a, b], axis=-1)


def _fingerprint(a: Array, b: Array, share: float, rest: float) -> Array:
    """Sums but for the norm, which is the second."""
    added = a + b
    added[..., 1] = np.hypot(a[..., 1], b[..., 1])
    return added


# By Chan's rule, from the means of the two.
_CENTRES = {
    "z_std": "z_centre",
    "s_std": "s_centre",
    "ds_std": "ds_centre",
    "z_feature_std": "z_feature_mean",
}
# All others are means over the examples.
_RULES: Mapping[str, Merge] = {
    **dict.fromkeys(("kernel_std", "kernel_norm", "gain"), _same),
    **dict.fromkeys(("kernel_mean_square", "bias_mean_square"), _same),
    **dict.fromkeys(("z_example", "z_used", "s_example", "ds_example"), _one_after_other),
    **dict.fromkeys(("ds_example_norm", *_SAMPLES), _one_after_other),
    **dict.fromkeys(("z_directions", "s_directions"), _sum),
    **dict.fromkeys(("z_fingerprint", "f_fingerprint"), _fingerprint),
    "alive": _either,
    "ds_norm": _norm,
}
