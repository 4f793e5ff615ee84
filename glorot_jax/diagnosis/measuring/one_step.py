"""What is shown of a site at one step, reduced by NumPy or by JAX, and finished into statistics.

Unfinished it can be merged with what other examples show: centres in the place of means, the sum
of directions in that of a cosine, samples in that of quantiles.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from glorot_jax.diagnosis.arrays import Array, namespace
from glorot_jax.diagnosis.measuring.exposure import Made, Slopes, Values
from glorot_jax.diagnosis.measuring.fingerprints import SIZE, fingerprint
from glorot_jax.diagnosis.measuring.moments import (
    all_nan,
    centre,
    constant_features,
    cosine,
    directions,
    example_mean_squares,
    example_norms,
    features,
    mean_square,
    norm,
    position_cosine,
    sample,
    shape_of,
    size_of_centre,
    std,
    unit_noise,
    unit_squares,
)
from glorot_jax.diagnosis.measuring.wide import Wide, is_inexact
from glorot_jax.diagnosis.tracing.layout import Site

Shown = dict[str, Any]  # arrays, or small trees of them
OneStep = Callable[[Site, int, Values, Made], Shown]


def one_step(site: Site, n: int, values: Values, made: Made) -> Shown:
    """What ``site_statistics`` is made of, unfinished."""
    kernel, z, s, ds = map(Wide, values[:4])
    return _of_wide(site, n, kernel, z, s, ds, made)


def one_step_in_full(site: Site, n: int, values: Values, made: Made, *, bins: int) -> Shown:
    """The same and what else ``as_rows`` is made of, with histograms of so many ``bins``."""
    kernel, z, s, ds = map(Wide, values[:4])
    bias = values.bias
    f = None if made.f is None else Wide(made.f)
    feature_mean, feature_std = features(z)
    s_norm, ds_norm = (example_norms(a, site.s_axis, n) for a in (s, ds))
    xp = s.xp
    return {
        **_of_wide(site, n, kernel, z, s, ds, made),
        "z_example": example_mean_squares(z, site.z_axis, n),
        "z_used": example_mean_squares(_as_used(site, z), site.z_axis, n),
        "s_example": example_mean_squares(s, site.s_axis, n),
        "ds_example": example_mean_squares(ds, site.s_axis, n),
        "ds_example_norm": ds_norm,
        "sensitivity": xp.mean(s_norm * ds_norm),
        "z_feature_mean": feature_mean,
        "z_feature_std": feature_std,
        "z_position_cosine": position_cosine(z, site.z_axis),
        "s_position_cosine": position_cosine(s, site.s_axis),
        "z_fingerprint": fingerprint(z),
        "f_fingerprint": xp.full(SIZE, np.nan, np.float32) if f is None else fingerprint(f),
        "s_histogram": shape_of(s, bins),
        "ds_histogram": shape_of(ds, bins),
        "kernel_mean_square": mean_square(kernel),
        "bias_mean_square": xp.zeros((), np.float32) if bias is None else mean_square(bias),
        "s_units": unit_squares(s, site.unit_axes),
        "f_units": unit_squares(s, None) if f is None else unit_squares(f, site.unit_axes),
    }


def one_step_with_gradient(site: Site, n: int, values: Values, made: Made, *, bins: int) -> Shown:
    """``one_step_in_full``, and as ``kernel_gradient`` dC/dw of the summed cost."""
    shown = one_step_in_full(site, n, values, made, bins=bins)
    return {**shown, "kernel_gradient": made.gradient}


def _of_wide(site: Site, n: int, kernel: Wide, z: Wide, s: Wide, ds: Wide, made: Made) -> Shown:
    # A branch that wasn't taken has no gradient rather than a gradient of 0.
    known = site.differentiable & ~all_nan(s)
    backwards = {"ds_centre": centre(ds), **sizes(ds), "dw": made.gradient / n}
    return {
        **forwards(site, z, s, kernel, made.slopes),
        **{name: _where(known, value) for name, value in backwards.items()},
    }


def forwards(site: Site, z: Wide, s: Wide, kernel: Wide, slopes: Slopes) -> Shown:
    """What one step shows without a gradient, unfinished: centres, directions, samples."""
    kernel_std = std(kernel)
    return {
        **_distribution("z", z, site.z_axis),
        **_distribution("s", s, site.s_axis),
        **_of_slopes(site, s, slopes),
        "kernel_std": kernel_std,
        "kernel_norm": norm(kernel),
        "gain": site.fan_in * kernel.xp.square(kernel_std),
    }


def sizes(ds: Array | Wide) -> dict[str, Array]:
    """Of dC/ds."""
    return {"ds_std": std(ds), "ds_mean_square": mean_square(ds), "ds_norm": norm(ds)}


def finished(shown: Shown) -> Shown:
    """One step, with statistics in the place of what they are made of; ``alive`` stays."""
    made = finished_forwards(shown)
    dw = Wide(made.pop("dw"))
    made.pop("ds_centre")
    made |= {"dw_std": std(dw), "dw_norm": norm(dw)}
    made["dw_ratio"] = made["dw_norm"] / made["kernel_norm"]
    if "z_feature_mean" in made:
        of_features = made.pop("z_feature_mean"), made.pop("z_feature_std")
        made["z_constant"] = constant_features(*of_features)
        for name in ("s", "f"):
            made[f"{name}_unit_noise"] = unit_noise(made.pop(f"{name}_units"))
    return made


def finished_forwards(shown: Shown) -> Shown:
    """What ``forwards`` shows, means and cosines in the place of what they are made of."""
    made = dict(shown)
    for name in ("z", "s"):
        made[f"{name}_mean"] = size_of_centre(made.pop(f"{name}_centre"))
        made[f"{name}_cosine"] = cosine(made.pop(f"{name}_directions"))
    return made


def with_dead(site: Site, measured: Shown) -> Shown:
    """``measured`` at each step, with the share of dead units in the place of ``alive``."""
    rest = {name: values for name, values in measured.items() if name != "alive"}
    xp = namespace(rest["s_mean"])
    return rest | {"dead": _dead(site, measured["alive"], ~xp.isnan(rest["s_mean"]))}


def _dead(site: Site, alive: Array, taken: Array) -> Array:
    """Of bools [steps, units], the fraction of units alive at no step that has their kernel."""
    xp = namespace(alive)
    if not alive.shape[1]:
        return xp.full(len(alive), np.nan, np.float32)
    shared = tuple(axis for axis, varies in enumerate(site.kernel_varies) if not varies)
    steps = alive.reshape(*site.steps, -1)
    dead = ~xp.broadcast_to(steps.any(shared, keepdims=True), steps.shape)
    return xp.where(taken, xp.mean(dead.astype(np.float32), axis=-1).reshape(-1), np.nan)


def _where(known: Array, values: Array) -> Array:
    """``values`` in their own type, NaN unless ``known``."""
    return namespace(values).where(known, values, np.array(np.nan).astype(values.dtype))


def _as_used(site: Site, z: Wide) -> Wide:
    """``z`` so weighted that its mean square is that of the values that the kernel sees."""
    if not any(site.uses):
        return z
    weighted = z.values
    for axis, shares in enumerate(site.uses):
        if shares:
            weights = np.sqrt(np.array(shares) / np.mean(shares))
            along = [axis == other for other in range(weighted.ndim)]
            shaped = weights.reshape(np.where(along, weighted.shape, 1))
            weighted = weighted * shaped.astype(weighted.dtype)
    return Wide(weighted)


def _distribution(name: str, values: Wide, axis: int | None) -> Shown:
    if not is_inexact(values.values):
        values = Wide(values.xp.full(values.values.shape, np.nan, np.float32))
    return {
        f"{name}_centre": centre(values),
        f"{name}_std": std(values),
        f"{name}_mean_square": mean_square(values),
        f"{name}_quantile": sample(values),
        f"{name}_directions": directions(values, axis),
    }


def _of_slopes(site: Site, s: Wide, slopes: Slopes) -> dict[str, Array]:
    """The fraction of saturated values; of each unit, [units], whether f'(s) isn't always 0.

    No units where that can't be told.
    """
    xp = s.xp
    unknown, nobody = xp.asarray(np.nan, np.float32), xp.zeros(0, bool)
    if slopes.saturated is None or slopes.moving is None:
        return {"saturated": unknown, "alive": nobody}
    taken = ~all_nan(s)
    saturated = xp.where(taken, xp.mean(slopes.saturated.astype(np.float32)), unknown)
    if site.unit_axes is None and site.s_axis is None:
        return {"saturated": saturated, "alive": nobody}
    ndim = s.values.ndim
    units = _all_but(site.s_axis, ndim) if site.unit_axes is None else site.unit_axes
    rest = tuple(axis for axis in range(ndim) if axis not in units)
    moves = xp.max(slopes.moving.astype(np.float32), axis=rest)
    return {"saturated": saturated, "alive": ((moves > 0) & taken).reshape(-1)}


def _all_but(axis: int | None, ndim: int) -> tuple[int, ...]:
    return tuple(other for other in range(ndim) if other != axis)
