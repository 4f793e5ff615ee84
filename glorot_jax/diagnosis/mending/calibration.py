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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import exp, inf, isfinite, log
from typing import Any, Generic, Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.gains import (
    Measured,
    as_statistics,
    both_gains,
    find_input_sources,
    forward_gains,
)
from glorot_jax.diagnosis.measuring.site_statistics import Statistics
from glorot_jax.diagnosis.mending.kernel_scales import Group, find_groups, find_scales, multiplied
from glorot_jax.diagnosis.tracing.layout import SiteRow, Unreached
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.diagnosis.tracing.sites import Traced, trace
from glorot_jax.losses import cross_entropy
from glorot_jax.typing import ApplyFn, Loss, Params, PyTree

Mode: TypeAlias = Literal["forward", "backward", "geometric", "critical"]
MODES: tuple[Mode, ...] = get_args(Mode)
TOLERANCE = 1e-3  # of what is to be kept, while one kernel is scaled
RESCALINGS = 12  # of one kernel in one sweep; one is enough where there is no bias
SETTLED = 0.02  # when all are as near as this, no other sweep is made
SWEEPS = 5
WORSE = 2.0  # times the cost before, or that of outputs of 0, from which on it is refused
NEAR = 0.1  # a kernel that can't be brought as near as this by itself keeps its scale
# A seed that nobody draws kernels from: these must not be the rows of one.
_WEIGHTS = 20_100_513


@dataclass(frozen=True)
class Calibrated(Generic[Params]):
    """``params`` as given but for the scales of kernels, and what that did.

    ``factors``: by the label of a row, what its kernel was multiplied by. ``before``, ``after``:
    ``s_std`` and ``ds_std`` of each row. ``skipped``: what kept its scale, or isn't quite as asked
    for, and why. ``refused``: why nothing was scaled at all, where the cost would have become
    worse; empty otherwise.
    """

    params: Params
    factors: Mapping[str, float]
    before: Statistics
    after: Statistics
    skipped: tuple[Unreached, ...]
    refused: str = ""


def calibrate(
    apply_fn: ApplyFn[Params],
    params: Params,
    x: PyTree,
    y: PyTree = None,
    /,
    *,
    mode: Mode = "forward",
    target: float = 1.0,
    loss: Loss = cross_entropy,
) -> Calibrated[Params]:
    """Parameters of ``apply_fn(params, x) -> outputs`` whose kernels keep variance.

    ``target`` is the std of every s, in the modes forward and geometric. dC/ds is that of ``loss``
    of the labels ``y`` [n]; without them that of a random combination of the outputs, the same at
    every call. The layers of a scan are scaled one by one; a kernel with several uses (a recurrent
    net, tied layers) by the geometric mean of the factors that they ask for; of a kernel computed
    from several parameters the first that scales it. No gradient leaves an embedding downwards, so
    it is left alone in mode backward and scaled as in forward in the other two.

    Runs the model once or twice for each kernel, by three compiled programs; not for the inside of
    ``jit``.

    Raises:
      ValueError: as ``trace`` does; ``mode``, ``target``, ``loss`` or ``y`` isn't such a thing.
    """
    _check(mode, target, params)
    if y is None:
        traced = trace(apply_fn, params, x)
    else:
        traced = trace_with_costs(apply_fn, params, x, y, loss=loss)
    kernels = find_scales(traced, params, x)
    loss, labels = loss_and_labels(traced, y, loss)
    # What only some modes ask for isn't compiled for the others.
    both_ways = mode in ("backward", "geometric")
    sources = find_input_sources(traced, params, x) if both_ways else None

    def cost(outputs: PyTree) -> jax.Array:
        return jnp.sum(loss(outputs, labels))

    measure = both_gains(traced, x, cost, sources, jacobian=mode == "critical")
    groups, skipped = find_groups(traced, kernels)
    before = measure(params)
    wanted = partial(_wanted, mode=mode, target=target, rows=traced.rows())
    quick = measure if mode != "forward" else forward_gains(traced, x)
    scaled, scales, failed = _balance(params, groups, quick, wanted)
    if y is not None and (refused := _dearer(apply_fn, params, scaled, x, y, loss, mode)):
        same = as_statistics(traced, before)
        ones = dict.fromkeys((row.label for row in traced.rows()), 1.0)
        return Calibrated(params, ones, same, same, tuple(skipped), refused)
    factors = dict.fromkeys((row.label for row in traced.rows()), 1.0)
    for group, scale in zip(groups, scales, strict=True):
        factors.update((traced.rows()[row].label, scale) for row in group.rows)
    return Calibrated(
        scaled,
        factors,
        as_statistics(traced, before),
        as_statistics(traced, measure(scaled)),
        (*skipped, *failed),
    )


def _dearer(
    apply_fn: ApplyFn[Params],
    before: Params,
    after: Params,
    x: PyTree,
    y: PyTree,
    loss: Loss,
    mode: Mode,
) -> str:
    """Why the scaled kernels are not to be had, in a sentence; empty where they are.

    A cost that grows up to that of outputs of 0 was none that had been learned.
    """

    @compiled_once
    def costs(params: Params) -> tuple[jax.Array, jax.Array]:
        outputs = apply_fn(params, x)
        nothing = jax.tree.map(jnp.zeros_like, outputs)
        return jnp.mean(loss(outputs, y)), jnp.mean(loss(nothing, y))

    (old, zero), (new, _) = (map(float, costs(params)) for params in (before, after))
    most = WORSE * max(old, zero if isfinite(zero) else old)
    if new <= most or not isfinite(old):
        return ""
    return f"mode {mode} would take the cost from {old:.3g} to {new:.3g}: kernels are as given"


def _check(mode: Mode, target: float, params: Any) -> None:
    if mode not in MODES:
        raise ValueError(f"mode: {mode} is not one of {', '.join(MODES)}")
    if not (isinstance(target, (int, float)) and isfinite(target) and target > 0):
        raise ValueError(f"target: {target} is not a positive number")
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(params)):
        raise ValueError("params: are traced; calibrate runs programs of its own, outside of jit")


def loss_and_labels(traced: Traced, y: PyTree, loss: Loss) -> tuple[Loss, PyTree]:
    """Those given; without labels a random combination of each example's outputs as its cost."""
    if y is not None:
        return loss, y
    random = np.random.default_rng(_WEIGHTS)
    floats = [a for a in jax.tree.leaves(traced.outputs) if jnp.issubdtype(a.dtype, jnp.inexact)]
    if any(leaf.shape[:1] != (traced.n,) for leaf in floats):
        raise ValueError("y: is needed where not every output has the axis of the examples")
    weights = [jnp.asarray(random.normal(size=a.shape), a.real.dtype) for a in map(_zeros, floats)]

    def combination(outputs: PyTree, _: Any) -> jax.Array:
        leaves = [a for a in jax.tree.leaves(outputs) if jnp.issubdtype(a.dtype, jnp.inexact)]
        products = [
            jnp.sum((a.real * w).reshape(traced.n, -1), axis=1)
            for a, w in zip(leaves, weights, strict=True)
        ]
        return sum(products[1:], products[0])

    return combination, None


def _zeros(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    return np.zeros(leaf.shape, leaf.dtype)


def _wanted(
    measured: Measured, group: Group, *, mode: Mode, target: float, rows: Sequence[SiteRow]
) -> float:
    """The logarithm of the factor still to be applied, NaN where there is none to be had."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mine = list(group.rows)
        forward = log(target) - np.log(measured["s_std"][mine])
        if mode == "forward":
            asked = forward
        elif mode == "backward":
            asked = -np.log(measured["backward_gain"][mine])
        else:
            critical = mode == "critical"
            asked = -np.log(measured["jacobian_gain" if critical else "backward_gain"][mine])
            asked = asked if critical else (forward + asked) / 2
            embeds = np.array([rows[row].kind == "embedding" for row in mine])
            asked = np.where(embeds, forward, asked)
    asked = asked[np.isfinite(asked)]
    return float(np.mean(asked)) if asked.size else float("nan")


def _balance(
    params: Any,
    groups: Sequence[Group],
    measure: Callable[[Any], Measured],
    wanted: Callable[[Measured, Group], float],
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

    def put(group: Group, scale: float) -> Measured:
        where = group.where
        scales[where][group.step] = scale
        leaves[where.leaf] = multiplied(originals[where.leaf], scales[where], where.axes)
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
    group: Group,
    scale: float,
    measured: Measured,
    put: Callable[[Group, float], Measured],
    wanted: Callable[[Measured, Group], float],
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


def _why(measured: Measured, group: Group, wanted: Callable[[Measured, Group], float]) -> str:
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
