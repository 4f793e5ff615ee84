"""Kernels scaled so that variance is kept: forwards, backwards, or as a compromise of both.

A kernel is scaled as a whole; nothing is drawn again. Kernels are gone through in the order of the
program, each rescaled and measured until it is as wanted:

  forward    std(s) = target, as in Mishkin & Matas, "All you need is a good init" (2016).
  backward   rms(f'(s_below) W^T dC/ds) = rms(dC/ds): the paper's eq. 9, measured and not assumed.
  geometric  the square root of the product of the two factors, in the spirit of its eq. 12.
  critical   n Var[W] E[f'(s)^2] = 1: the singular values of each layer's Jacobian have mean square
             1, so that neither direction vanishes and deep nets of tanh stay out of chaos, where
             forward leaves them (Poole et al. 2016; Pennington et al. 2017).

s_below is the pre-activation whose f(s) is the kernel's input z. Where z is no such function, but
a sum with a residual, a norm or a pool, nothing is put in the place of f'.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, permutations
from math import exp, inf, isfinite, log, prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.monitor import Statistics
from glorot_jax.diagnosis.plan import Site
from glorot_jax.diagnosis.prediction import inputs_of_an_output
from glorot_jax.diagnosis.report import Report, diagnose
from glorot_jax.diagnosis.sites import Apply, Row, Signals, Traced, Unreached, trace
from glorot_jax.diagnosis.statistics import Values, check_costs, each_step, slope_of
from glorot_jax.losses import Loss, cross_entropy

MODES = ("forward", "backward", "geometric", "critical")
TOLERANCE = 1e-3  # of what is to be kept, while one kernel is scaled
RESCALINGS = 12  # of one kernel in one sweep; one is enough where there is no bias
SETTLED = 0.02  # when all are as near as this, no other sweep is made
SWEEPS = 5
NEAR = 0.1  # a kernel that can't be brought as near as this by itself keeps its scale
# A seed that nobody draws kernels from: these must not be the rows of one.
_WEIGHTS = 20_100_513


class Calibrated(NamedTuple):
    """``params`` as given but for the scales of kernels, and what that did.

    ``factors``: by the label of a row, what its kernel was multiplied by. ``before``, ``after``:
    ``s_std`` and ``ds_std`` of each row. ``skipped``: what kept its scale, or isn't quite as asked
    for, and why. ``reports``: on the parameters before and after, None unless asked for.
    """

    params: Any
    factors: Mapping[str, float]
    before: Statistics
    after: Statistics
    skipped: tuple[Unreached, ...]
    reports: tuple[Report, Report] | None


def calibrate(
    apply_fn: Apply,
    params: Any,
    x: Any,
    y: jax.Array | None = None,
    /,
    *,
    mode: str = "forward",
    target: float = 1.0,
    loss: Loss = cross_entropy,
    report: bool = True,
) -> Calibrated:
    """Parameters of ``apply_fn(params, x) -> logits [n, ..]`` whose kernels keep variance.

    ``target`` is the std of every s, in the modes forward and geometric. dC/ds is that of ``loss``
    of the labels ``y`` [n]; without them that of a random combination of the logits, the same at
    every call. The layers of a scan are scaled one by one; a kernel with several uses (a recurrent
    net, tied layers) by the geometric mean of the factors that they ask for; of a kernel computed
    from several parameters the first that scales it. No gradient leaves an embedding downwards, so
    it is left alone in mode backward and scaled as in forward in the other two.

    Runs the model once or twice for each kernel, by three compiled programs, and one more for the
    ``report`` before and after; not for the inside of ``jit``.

    Raises:
      ValueError: as ``trace`` does; ``mode``, ``target``, ``loss`` or ``y`` isn't such a thing.
    """
    _check(mode, target, params)
    found = trace(apply_fn, params, x)
    kernels = _kernels(found, params, x)
    loss, labels = _loss_and_labels(found, y, loss)
    # What only some modes ask for isn't compiled for the others.
    below = _below(found, params, x) if mode in ("backward", "geometric") else None
    measure = _measure(found, x, lambda logits: jnp.sum(loss(logits, labels)), mode, below)
    groups, skipped = _groups(found, kernels)
    before = measure(params)
    wanted = partial(_wanted, mode=mode, target=target, rows=found.rows())
    quick = measure if mode != "forward" else _forward(found, x)
    scaled, scales, failed = _balance(params, groups, quick, wanted)
    factors = dict.fromkeys((row.label for row in found.rows()), 1.0)
    for group, scale in zip(groups, scales, strict=True):
        factors.update((found.rows()[row].label, scale) for row in group.rows)
    return Calibrated(
        scaled,
        factors,
        _statistics(found, before),
        _statistics(found, measure(scaled)),
        (*skipped, *failed),
        _reports(apply_fn, params, scaled, x, labels, loss) if report else None,
    )


def _check(mode: str, target: float, params: Any) -> None:
    if mode not in MODES:
        raise ValueError(f"mode: {mode} is not one of {', '.join(MODES)}")
    if not (isinstance(target, (int, float)) and isfinite(target) and target > 0):
        raise ValueError(f"target: {target} is not a positive number")
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(params)):
        raise ValueError("params: are traced; calibrate runs programs of its own, outside of jit")


def _loss_and_labels(found: Traced, y: jax.Array | None, loss: Loss) -> tuple[Loss, jax.Array]:
    """Those given; without labels a random combination of each example's logits as its cost."""
    if y is not None:
        check_costs(loss, found.logits, y)
        return loss, y
    shape, dtype = found.logits.shape, found.logits.dtype
    weights = jnp.asarray(np.random.default_rng(_WEIGHTS).normal(size=shape), dtype)

    def combination(logits: jax.Array, _: jax.Array) -> jax.Array:
        return jnp.sum((logits * weights).reshape(shape[0], -1), axis=1)

    return combination, jnp.zeros(shape[0], jnp.int32)


def _reports(
    apply_fn: Apply, before: Any, after: Any, x: Any, y: jax.Array, loss: Loss
) -> tuple[Report, Report]:
    """Both from one program, as if they were two seeds."""
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), before, after)
    data = diagnose(apply_fn, both, x, y, loss=loss, seeds=2, spectra=False).data
    return Report(data.isel(seed=[0])), Report(data.isel(seed=[1]))


# Measuring. Flat rows are (site 0 step 0, site 0 step 1, .., site 1 step 0, ..), site by site.

Measured = Mapping[str, np.ndarray]


def _forward(found: Traced, x: Any) -> Callable[[Any], Measured]:
    @jax.jit
    def measure(params: Any, x: Any) -> dict[str, jax.Array]:
        return {"s_std": _in_order(found, _stds(found, found.run(params, x).s))}

    return lambda params: jax.device_get(measure(params, x))


def _measure(
    found: Traced,
    x: Any,
    cost: Callable[[jax.Array], jax.Array],
    mode: str,
    below: Sequence["_Below"] | None,
) -> Callable[[Any], Measured]:
    """``params`` to [rows]: s_std, ds_std, and what ``mode`` asks for of the other two.

    ``carried`` is the rms of the gradient that a kernel carries down to the next s over that of
    dC/ds at its own; ``jacobian`` the root of n Var[W] E[f'(s)^2].
    """

    adds_up = [inputs_of_an_output(site) for site in found.sites]

    @jax.jit
    def measure(params: Any, x: Any) -> dict[str, jax.Array]:
        def total(taps: tuple[jax.Array, ...]) -> tuple[jax.Array, Signals]:
            signals = found.run(params, x, taps)
            return cost(signals.logits), signals

        ds, signals = jax.grad(total, has_aux=True)(found.taps())
        s_std = _stds(found, signals.s)
        # A branch that wasn't taken has no gradient rather than a gradient of 0.
        ds_std = [
            jnp.where(jnp.isnan(s), jnp.nan, std)
            for s, std in zip(s_std, _stds(found, ds), strict=True)
        ]
        measured = {"s_std": s_std, "ds_std": ds_std}
        if below is not None:
            measured["carried"] = _carried(found, signals, ds, below)
        if mode == "critical":
            made = zip(adds_up, _weights_and_slopes(found, signals), strict=True)
            measured["jacobian"] = [jnp.sqrt(n * mean_square) for n, mean_square in made]
        return {name: _in_order(found, values) for name, values in measured.items()}

    return lambda params: jax.device_get(measure(params, x))


def _carried(
    found: Traced, signals: Signals, ds: Sequence[jax.Array], below: Sequence["_Below"]
) -> list[jax.Array]:
    """For each site, by step, the rms of f'(s_below) W^T dC/ds over that of dC/ds."""
    downs, slopes = [], []
    for site, values in zip(found.sites, _values(signals, ds), strict=True):
        made = each_step(partial(_down_and_slope, site), site.kernel_varies, values)
        downs.append(_flat(site, made["down"]))
        slopes.append(_flat(site, made["slope"]))
    # Rows of one size can be multiplied by each other; the last row of a table is f' = 1.
    tables = {}
    for size in {down.shape[1] for down in downs}:
        rows = [slope for slope in slopes if slope.shape[1] == size]
        tables[size] = jnp.concatenate([*rows, jnp.ones((1, size))])
    loose = jnp.concatenate([*(_rms(slope) for slope in slopes), jnp.ones(1)])
    first = _first_rows(found)
    carried = []
    for site, start, down, up in zip(found.sites, first, downs, ds, strict=True):
        size = down.shape[1]
        mine = below[start : start + prod(site.steps)]
        place = _places_in_table(found, slopes, size)
        aligned = jnp.array([place.get(b.row if b.aligned else None, -1) for b in mine])
        otherwise = jnp.array([-1 if b.aligned or b.row is None else b.row for b in mine])
        rms = _rms(tables[size][aligned] * down) * loose[otherwise]
        carried.append(rms / _rms(_flat(site, up)))
    return carried


def _weights_and_slopes(found: Traced, signals: Signals) -> list[jax.Array]:
    """For each site, by step, the mean square of its kernel times that of f'(s)."""

    def one_step(site: Site, values: Values) -> dict[str, jax.Array]:
        slope = _slope_or_one(site, values.s).astype(jnp.float32)
        kernel = values.kernel.astype(jnp.float32)
        return {"both": jnp.mean(jnp.square(kernel)) * jnp.mean(jnp.square(slope))}

    seen = zip(found.sites, _values(signals, signals.s), strict=True)
    return [
        each_step(partial(one_step, site), site.kernel_varies, values)["both"].reshape(-1)
        for site, values in seen
    ]


def _places_in_table(
    found: Traced, slopes: Sequence[jax.Array], size: int
) -> dict[int | None, int]:
    rows = [
        start + step
        for start, slope in zip(_first_rows(found), slopes, strict=True)
        if slope.shape[1] == size
        for step in range(len(slope))
    ]
    return {row: place for place, row in enumerate(rows)}


def _down_and_slope(site: Site, values: Values) -> dict[str, jax.Array]:
    z, s, ds, kernel, _ = values
    if jnp.issubdtype(z.dtype, jnp.inexact):
        down = jax.vjp(lambda z: site.contract(z, kernel), z)[1](ds)[0]
    else:
        down = jnp.full(z.shape, jnp.nan)
    return {"down": down, "slope": _slope_or_one(site, s)}


def _slope_or_one(site: Site, s: jax.Array) -> jax.Array:
    return jnp.ones_like(s) if site.activation is None else slope_of(site.activation, s)


def _values(signals: Signals, ds: Sequence[jax.Array]) -> Iterator[Values]:
    for z, s, d, kernel in zip(signals.z, signals.s, ds, signals.kernels, strict=True):
        yield Values(z, s, d, kernel, None)


def _flat(site: Site, values: jax.Array) -> jax.Array:
    """[steps, values of a step], float32."""
    return values.reshape(prod(site.steps), -1).astype(jnp.float32)


def _rms(rows: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(rows), axis=1))


def _stds(found: Traced, values: Sequence[jax.Array]) -> list[jax.Array]:
    pairs = zip(found.sites, values, strict=True)
    return [jnp.std(_flat(site, of_site), axis=1) for site, of_site in pairs]


def _first_rows(found: Traced) -> list[int]:
    """The flat row of the first step of each site."""
    return list(accumulate((prod(site.steps) for site in found.sites), initial=0))[:-1]


def _in_order(found: Traced, by_site: Sequence[jax.Array]) -> jax.Array:
    return jnp.concatenate(by_site)[jnp.array(found.row_order())]


def _statistics(found: Traced, measured: Measured) -> Statistics:
    values = {name: measured[name] for name in ("s_std", "ds_std")}
    return Statistics(values, tuple(row.label for row in found.rows()))


# What to scale, and what is below what: seen by running the model.


class _Scaled(NamedTuple):
    """Where the scale of a site's kernel is: a leaf, and its axes that are the steps of scans."""

    leaf: int
    axes: tuple[int, ...]


class _Below(NamedTuple):
    """The flat row whose f(s) is a row's z, if any, and whether in the same order of values."""

    row: int | None = None
    aligned: bool = False


def _kernels(found: Traced, params: Any, x: Any) -> list[_Scaled | str]:
    """What scales each site's kernel, or why nothing does."""
    look = jax.jit(lambda params, x: found.run(params, x).kernels)
    kernels = jax.device_get(look(params, x))
    leaves, structure = jax.tree.flatten(params)
    tried: dict[_Scaled, Any] = {}

    def scales(index: int, where: _Scaled) -> bool:
        """Whether scaling the steps of a leaf scales this site's kernel alike."""
        lengths = [leaves[where.leaf].shape[axis] for axis in where.axes]
        factors = np.random.default_rng(where.leaf).uniform(1.25, 2, lengths)
        if where not in tried:
            changed = list(leaves)
            changed[where.leaf] = _multiplied(leaves[where.leaf], factors, where.axes)
            tried[where] = jax.device_get(look(jax.tree.unflatten(structure, changed), x))
        return _is_multiple(kernels[index], tried[where][index], factors)

    return [
        _where(site, found, kernels[index], leaves, partial(scales, index))
        for index, site in enumerate(found.sites)
    ]


def _where(
    site: Site,
    found: Traced,
    kernel: np.ndarray,
    leaves: Sequence[jax.Array],
    scales: Callable[[_Scaled], bool],
) -> _Scaled | str:
    if np.isnan(np.asarray(kernel, np.float32)).all():
        return "is in a branch that isn't taken"
    lengths = [n for n, varies in zip(site.steps, site.kernel_varies, strict=True) if varies]
    for leaf in _leaves_of(site, [name for name, _ in found.inputs[: len(leaves)]]):
        shape = leaves[leaf].shape
        if jnp.issubdtype(leaves[leaf].dtype, jnp.floating):
            for axes in permutations(range(len(shape)), len(lengths)):
                where = _Scaled(leaf, axes)
                if [shape[axis] for axis in axes] == lengths and scales(where):
                    return where
    return "is computed in such a way that scaling no parameter scales it"


def _leaves_of(site: Site, names: Sequence[str]) -> list[int]:
    for name in (site.name, re.sub(r" #\d+$", "", site.name)):
        for parts in ([name], name.split("+")):
            if set(parts) <= set(names):
                return [names.index(part) for part in parts]
    return []


@partial(jax.jit, static_argnames="axes")
def _multiplied(leaf: jax.Array, factors: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """``leaf`` in its own type, ``factors`` along ``axes`` of it."""
    wide = leaf.dtype if jnp.finfo(leaf.dtype).bits > 32 else jnp.float32
    along = factors.astype(wide).transpose(np.argsort(axes))
    shape = [size if axis in axes else 1 for axis, size in enumerate(leaf.shape)]
    return (leaf.astype(wide) * along.reshape(shape)).astype(leaf.dtype)


def _is_multiple(kernel: np.ndarray, scaled: np.ndarray, factors: np.ndarray) -> bool:
    """Whether each step's kernel was multiplied by its factor, as far as it was seen."""
    before, after = (np.asarray(a, np.float64).reshape(factors.size, -1) for a in (kernel, scaled))
    seen = np.isfinite(before).all(axis=1)
    before, after, wanted = before[seen], after[seen], factors.reshape(-1, 1)[seen]
    # Rounded to 8 bits, or not the same at all.
    return bool((np.abs(after - wanted * before) <= 0.02 * np.abs(before).max()).all())


def _prints(site: Site, values: Values) -> dict[str, jax.Array]:
    """Numbers by which z and f(s) are told to be the same, in any order and in this one."""
    unknown = jnp.full(6, jnp.nan)
    z = unknown
    if jnp.issubdtype(values.z.dtype, jnp.inexact):
        z = _print(values.z)
    return {"z": z, "f": unknown if site.activation is None else _print(site.activation(values.s))}


def _print(values: jax.Array) -> jax.Array:
    flat = values.reshape(-1).astype(jnp.float32)
    place = jnp.arange(flat.size, dtype=jnp.float32)
    norm = jnp.linalg.norm(flat)
    mean, sizes = jnp.sum(flat), jnp.sum(jnp.abs(flat))
    rows = [flat @ wave(place) for wave in (jnp.sin, jnp.cos)]
    return jnp.stack([jnp.float32(flat.size), norm, mean, sizes, *rows])


def _below(found: Traced, params: Any, x: Any) -> list[_Below]:
    """For each flat row the nearest row before it in the program whose f(s) is its z."""

    @jax.jit
    def look(params: Any, x: Any) -> dict[str, jax.Array]:
        signals = found.run(params, x)
        prints = []
        for site, values in zip(found.sites, _values(signals, signals.s), strict=True):
            made = each_step(partial(_prints, site), site.kernel_varies, values)
            prints.append(jax.tree.map(partial(_flat, site), made))
        return jax.tree.map(lambda *rows: jnp.concatenate(rows), *prints)

    prints = jax.device_get(look(params, x))
    position = {row: place for place, row in enumerate(found.row_order())}
    below = []
    for row, z in enumerate(prints["z"]):
        with np.errstate(invalid="ignore"):
            same = np.abs(prints["f"] - z) <= 3e-3 * z[1]
        before = np.array([position[other] < position[row] for other in range(len(same))])
        alike = before & same[:, :4].all(axis=1) & (z[1] > 0)
        aligned = alike & same.all(axis=1)
        candidates = np.flatnonzero(aligned if aligned.any() else alike)
        nearest = max(candidates.tolist(), key=position.__getitem__, default=None)
        below.append(_Below(nearest, bool(aligned.any())))
    return below


# Scaling.


class _Group(NamedTuple):
    """Rows whose kernels have one scale in common: a leaf, or one step of it along ``axes``."""

    where: _Scaled
    step: tuple[int, ...]
    rows: tuple[int, ...]
    label: str


def _groups(
    found: Traced, kernels: Sequence[_Scaled | str]
) -> tuple[list[_Group], list[Unreached]]:
    """Groups in the order of their first rows; what can't be scaled and why."""
    axes: dict[int, tuple[int, ...]] = {}
    for where in kernels:
        if isinstance(where, _Scaled):
            # Uses that don't agree on the steps can only be scaled together.
            agreed = axes.setdefault(where.leaf, where.axes) == where.axes
            axes[where.leaf] = where.axes if agreed else ()
    places = [
        (site, where, step)
        for site, where in zip(found.sites, kernels, strict=True)
        for step in np.ndindex(*site.steps)
    ]
    rows: dict[tuple[_Scaled, tuple[int, ...]], list[int]] = {}
    skipped: dict[str, str] = {}
    for row, flat in enumerate(found.row_order()):
        site, where, step = places[flat]
        if isinstance(where, str):
            skipped[site.name] = where
            continue
        where = where._replace(axes=axes[where.leaf])
        own = tuple(i for i, varies in zip(step, site.kernel_varies, strict=True) if varies)
        rows.setdefault((where, own if where.axes else ()), []).append(row)
    groups = [
        _Group(where, step, tuple(mine), found.rows()[mine[0]].label)
        for (where, step), mine in rows.items()
    ]
    return groups, [Unreached(name, why) for name, why in skipped.items()]


def _wanted(
    measured: Measured, group: _Group, *, mode: str, target: float, rows: Sequence[Row]
) -> float:
    """The logarithm of the factor still to be applied, NaN where there is none to be had."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mine = list(group.rows)
        forward = log(target) - np.log(measured["s_std"][mine])
        if mode == "forward":
            asked = forward
        elif mode == "backward":
            asked = -np.log(measured["carried"][mine])
        else:
            critical = mode == "critical"
            asked = -np.log(measured["jacobian" if critical else "carried"][mine])
            asked = asked if critical else (forward + asked) / 2
            embeds = np.array([rows[row].kind == "embedding" for row in mine])
            asked = np.where(embeds, forward, asked)
    asked = asked[np.isfinite(asked)]
    return float(np.mean(asked)) if asked.size else float("nan")


def _balance(
    params: Any,
    groups: Sequence[_Group],
    measure: Callable[[Any], Measured],
    wanted: Callable[[Measured, _Group], float],
) -> tuple[Any, list[float], list[Unreached]]:
    """Scales group after group, and again until all are as wanted at once.

    Returns the parameters, each group's scale, and what isn't as wanted.
    """
    leaves, structure = jax.tree.flatten(params)
    originals = list(leaves)
    scales = {
        group.where: np.ones([leaves[group.where.leaf].shape[axis] for axis in group.where.axes])
        for group in groups
    }

    def put(group: _Group, scale: float) -> Measured:
        where = group.where
        scales[where][group.step] = scale
        leaves[where.leaf] = _multiplied(originals[where.leaf], scales[where], where.axes)
        return measure(jax.tree.unflatten(structure, leaves))

    measured = measure(params)
    failed: dict[str, str] = {}
    limit = TOLERANCE
    for _ in range(SWEEPS):
        going = [group for group in groups if group.label not in failed]
        if all(abs(wanted(measured, group)) <= limit for group in going):
            break
        limit = SETTLED
        for group in going:
            given = scales[group.where][group.step]
            measured, off = _settle(group, given, measured, put, wanted)
            if not off <= NEAR:
                measured = put(group, given)
                failed[group.label] = _why(measured, group, wanted)
    for group in groups:
        off = abs(wanted(measured, group))
        if group.label not in failed and not off <= SETTLED:
            failed[group.label] = f"is {off:.1%} off after {SWEEPS} sweeps"
    made = [float(scales[group.where][group.step]) for group in groups]
    return jax.tree.unflatten(structure, leaves), made, [Unreached(*f) for f in failed.items()]


def _settle(
    group: _Group,
    scale: float,
    measured: Measured,
    put: Callable[[_Group, float], Measured],
    wanted: Callable[[Measured, _Group], float],
) -> tuple[Measured, float]:
    """Rescales until ``wanted`` is 0, by the secant method; what is then measured, and how far off.

    Without biases one step is all: scaling by c changes what is kept by c.
    """
    step, response, tried = wanted(measured, group), 1.0, [(inf, scale)]
    for _ in range(RESCALINGS):
        tried.append((abs(step), scale))
        if not abs(step) > TOLERANCE:  # NaN neither
            return measured, abs(step)
        moved = step / response
        scale *= exp(moved)
        measured = put(group, scale)
        left = wanted(measured, group)
        response = (step - left) / moved
        response = min(max(response, 0.2), 5) if response > 0 else 1.0
        step = left
    off, scale = min(tried)
    return put(group, scale), off


def _why(measured: Measured, group: _Group, wanted: Callable[[Measured, _Group], float]) -> str:
    stds = measured["s_std"][list(group.rows)]
    if np.isnan(stds).all():
        return "is in a branch that isn't taken"
    if not (stds > 0).any():
        return "has an s that never varies"
    if not isfinite(wanted(measured, group)):
        none = "ds_std" in measured and not (measured["ds_std"][list(group.rows)] > 0).any()
        return "gets no gradient" if none else "carries no gradient down"
    return (
        f"is not brought there by {RESCALINGS} rescalings: a bias, another path or the range of "
        "its numbers is against it"
    )
