"""The labelled numbers of a report: what was measured, and what was expected, at every site."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from glorot_jax.diagnosis.judging import prediction
from glorot_jax.diagnosis.measuring.site_statistics import QUANTILES
from glorot_jax.diagnosis.tracing.sites import Traced

Arrays = Mapping[str, np.ndarray]

# Units are 1 unless given: a signal has the units of x, a gradient those of the cost.
LONG_NAMES = {
    "z_mean": "mean of the site's input z",
    "z_std": "standard deviation of z",
    "z_mean_square": "mean square of z",
    "z_quantile": "quantiles of z",
    "z_cosine": "mean cosine between the z of two examples",
    "z_constant": "share of the features of z that are the same for every example",
    "z_position_cosine": "mean cosine between the z at two positions of an example",
    "s_mean": "mean of the pre-activation s",
    "s_std": "standard deviation of s",
    "s_mean_square": "mean square of s, q",
    "s_quantile": "quantiles of s",
    "s_cosine": "mean cosine between the s of two examples, c",
    "s_position_cosine": "mean cosine between the s at two positions of an example",
    "saturated": "fraction of s where f'(s) is below 5% of f'(0)",
    "dead": "fraction of units with f'(s) = 0 for every example",
    "ds_std": "standard deviation of dC/ds, C each example's own cost",
    "ds_mean_square": "mean square of dC/ds",
    "ds_norm": "norm of dC/ds over units and examples",
    "sensitivity": "mean over examples of norm(s) norm(dC/ds)",
    "dw_std": "standard deviation of dC/dw of the mean cost",
    "dw_norm": "norm of dC/dw of the mean cost",
    "dw_ratio": "norm of dC/dw over norm of the kernel",
    "kernel_std": "standard deviation of the kernel",
    "kernel_norm": "norm of the kernel",
    "kernel_mean_square": "mean square of the kernel",
    "bias_mean_square": "mean square of the bias",
    "gain": "n Var[W], n the fan-in",
    "gain_forward": "rms of s over that of the site before",
    "gain_backward": "rms of dC/ds over that of the site after",
    "s_histogram": "fraction of s in each bin",
    "ds_histogram": "fraction of dC/ds in each bin",
    "z_mean_square_predicted": "mean square of z that mean field expects",
    "s_mean_square_predicted": "mean square of s that mean field expects",
    "ds_mean_square_predicted": "mean square of dC/ds that mean field expects",
    "jacobian_mean_square_predicted": "n Var[W] E[f'(s)^2], mean field: 1 keeps a signal's size",
    "critical_gain": "factor for the kernel that makes n Var[W] E[f'(s)^2] 1",
    "s_mean_square_noise": "one draw of the weights, relative standard deviation of s_mean_square",
    "sigma_mean": "mean singular value of diag(f'(s)) W, over examples",
    "sigma_mean_error": "standard error of sigma_mean and the bias of its quadrature",
    "sigma_mean_square": "mean square of the singular values, exact",
    "sigma_max": "largest singular value of an example's Jacobian, mean over examples",
    "sigma_max_error": "how far sigma_max may lie below the truth",
    "sigma_min": "smallest singular value, no more than this where not exact",
    "sigma_condition": "sigma_max over sigma_min, at least this where not exact",
    "sigma_exact": "whether the Jacobian was decomposed",
    "sigma_density": "density of the singular values, over examples",
    "sigma_edges": "edges of the bins of sigma_density",
    "to_output_sigma_mean": "mean singular value of d logits / d s",
    "to_output_sigma_max": "largest singular value of d logits / d s",
    "to_output_sigma_mean_square": "mean square of the singular values of d logits / d s",
    "sigma_mean_predicted": "mean singular value of diag(f'(s)) W by free probability",
}
_WHOLE = "of d logits / d x: "
_LAST = {
    "s_histogram": "bin",
    "ds_histogram": "bin",
    "sigma_density": "sigma_bin",
    "sigma_edges": "sigma_edge",
}
# Of every example or only for the noise: used here and not kept.
_ONLY_FOR_THEORY = {
    *("z_example", "z_used", "s_example", "ds_example", "ds_example_norm"),
    *("z_fingerprint", "f_fingerprint", "s_unit_noise", "f_unit_noise"),
}


def build_dataset(
    traced: Traced,
    constants: Sequence[prediction.RowConstants],
    details: Arrays,
    spectra: Arrays,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Arrays [seed, rows, ..] of ``as_rows`` and of the Jacobians, labelled, with theory beside.

    ``constants`` is what ``prediction.row_constants`` says of the rows.

    Returns a Dataset with dims seed and site, and quantile, bin or sigma_bin where needed.
    """
    rows = traced.rows()
    details = {name: np.asarray(values, np.float64) for name, values in details.items()}
    rms = {name: np.sqrt(details[f"{name}_mean_square"]) for name in ("s", "ds")}
    variables = {
        **{name: values for name, values in details.items() if name not in _ONLY_FOR_THEORY},
        "gain_forward": _ratio(rms["s"], np.roll(rms["s"], 1, axis=1), missing=0),
        "gain_backward": _ratio(rms["ds"], np.roll(rms["ds"], -1, axis=1), missing=-1),
        **_predictions(constants, details),
        **(_predicted_spectra(traced, constants, details) if spectra else {}),
        **spectra,
    }
    return xr.Dataset(
        {
            name: (_dims(name, np.ndim(values)), values, {"long_name": _long_name(name)})
            for name, values in variables.items()
        },
        coords={
            "site": [row.label for row in rows],
            "seed": np.arange(len(rms["s"])),
            "quantile": list(QUANTILES),
            "kind": ("site", [row.kind for row in rows]),
            "fan_in": ("site", [row.fan_in for row in rows]),
            "fan_out": ("site", [row.fan_out for row in rows]),
            "units": ("site", [row.units for row in rows]),
            "two_sided": (
                "site",
                [row.table is not None and row.table.two_sided for row in constants],
            ),
        },
        attrs={
            **attrs,
            "unreached": json.dumps([[one.name, one.reason] for one in traced.unreached]),
        },
    )


def _ratio(above: np.ndarray, below: np.ndarray, *, missing: int) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = above / below
    found[:, missing] = np.nan
    return found


def _long_name(name: str) -> str:
    if name.startswith("whole_"):
        return _WHOLE + LONG_NAMES[name.removeprefix("whole_")]
    return LONG_NAMES[name]


def _dims(name: str, ndim: int) -> tuple[str, ...]:
    """Those of [seed, site, ..], or of [site] or, of the whole net, [seed, ..]."""
    last = "quantile" if name.endswith("_quantile") else _LAST.get(name.removeprefix("whole_"))
    rest = (last,) if last else ()
    if name.startswith("whole_"):
        return ("seed", *rest)
    dims = ("seed", "site", *rest)
    return dims[len(dims) - ndim :]


def _predictions(constants: Sequence[prediction.RowConstants], details: Arrays) -> Arrays:
    """By name: [seed, rows], and [rows] of what hardly differs between seeds."""
    seeds = [
        {name: values[seed] for name, values in details.items()}
        for seed in range(len(details["s_mean"]))
    ]
    predicted, noise = zip(*(prediction.predict(constants, one) for one in seeds), strict=True)
    few, weights = prediction.few_examples(details["s_example"]), _weights(details)
    gains = [
        prediction.critical_gain(plan, few[i], plan.forward * weights[i])
        for i, plan in enumerate(constants)
    ]
    names = prediction.PREDICTED
    return {
        **{f"{name}_predicted": np.stack([one[name] for one in predicted]) for name in names},
        "s_mean_square_noise": np.stack(noise),
        "critical_gain": np.array(gains),
    }


def _predicted_spectra(
    traced: Traced, constants: Sequence[prediction.RowConstants], details: Arrays
) -> Arrays:
    rows = traced.rows()
    # Free probability knows matrices of independent entries only.
    fan_in = np.array([row.fan_in if row.kind == "dense" else np.nan for row in rows])
    found = prediction.mean_singular_values(
        constants,
        prediction.few_examples(details["s_example"]),
        fan_in * _weights(details),
        [row.fan_out / row.fan_in for row in rows],
    )
    return {"sigma_mean_predicted": found}


def _weights(details: Arrays) -> np.ndarray:
    """Mean square of each row's kernel over all seeds, [rows]."""
    return np.mean(details["kernel_mean_square"], axis=0)
