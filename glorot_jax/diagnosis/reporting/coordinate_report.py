"""What a check over widths found: its numbers, the exponents fitted to them, and what follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from glorot_jax.confidence import slope_interval
from glorot_jax.diagnosis.judging.scaling import (
    Fault,
    SiteGrowth,
    SiteRole,
    find_faults,
    response_of,
    role_of,
    site_growths,
    wanted_start,
)
from glorot_jax.diagnosis.measuring.coordinates import CoordinateRow
from glorot_jax.diagnosis.reporting import coordinate_text
from glorot_jax.files import save_as

# Matplotlib takes longer to import than all the rest.
if TYPE_CHECKING:
    from matplotlib.figure import Figure

Sizes = Mapping[str, np.ndarray]

OUTPUTS = "logits"
_LONG_NAMES = {
    "s_std": "standard deviation of the pre-activation s, over units and examples",
    "change_std": "standard deviation of s less s at the start",
    "update_std": "standard deviation of (W - W at the start) z, with z at the start",
    "gain": "std(s) over rms(z) at the start",
}


@dataclass(frozen=True)
class CoordinateCheck:
    """What ``coordinate_check`` found: ``data``, with dims width, seed, step and site."""

    data: xr.Dataset

    @cached_property
    def sites(self) -> tuple[SiteGrowth, ...]:
        """The exponents of each site, and last those of the model's outputs."""
        return site_growths(self.data)

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """What isn't as maximal update wants it, with the power of width that would mend it."""
        return find_faults(self.sites, str(self.data.attrs["response"]))

    @property
    def level(self) -> bool:
        """Whether nothing is wrong, and every exponent is known well enough to say so."""
        return not self.faults and not any(site.unclear for site in self.sites)

    def to_dataset(self) -> xr.Dataset:
        """Every number, labelled; each variable's ``long_name`` says what it is."""
        return self.data

    def __str__(self) -> str:
        """The verdict, what is wrong and a table, in lines of at most 100 characters."""
        return coordinate_text.as_text(self.data, self.sites, self.faults)

    def _repr_html_(self) -> str:
        return coordinate_text.as_html(self.data, self.sites, self.faults)

    def plot(self) -> "Figure":
        """std of s, and of its change, against width: a row a site, a line a step, log-log."""
        from glorot_jax.diagnosis.reporting import coordinate_figure

        return coordinate_figure.draw(self.data)

    def save(self, path: Path | str) -> Path:
        """The data as netCDF where ``path`` ends in .nc; one HTML file with text and figure.

        Raises:
          ValueError: ``path`` ends in neither. OSError: it can't be written.
        """

        def write(path: Path) -> Path:
            from glorot_jax.diagnosis.reporting import coordinate_figure

            return coordinate_figure.write(self.data, self._repr_html_(), path)

        return save_as(path, self.data, write)


def build_dataset(
    found: Sequence[Sizes], rows: Sequence[Sequence[CoordinateRow]], widths: Sequence[int]
) -> xr.Dataset:
    """``found``, what ``coordinates`` measured at each width, with rows in one order.

    ``rows``: those of each width, in that order.

    Returns a Dataset with dims width, seed, step and site, in which scores of attention and,
    last, the outputs follow the sites. The change and the update of step 0 are NaN, and so is the
    update of what is no site.
    """
    sizes = {name: np.stack([one[name] for one in found]) for name in found[0]}
    labels = [row.label for row in rows[0]]
    shape = sizes["s_std"].shape
    values = {name: _filled(sizes[name], shape) for name in ("s_std", "change_std", "update_std")}
    values["gain"] = np.full((*shape[:2], shape[3]), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        sites = sizes["z_rms"].shape[-1]
        values["gain"][..., :sites] = sizes["s_std"][:, :, 0, :sites] / sizes["z_rms"]
    each = list(zip(*rows, strict=True))
    roles = [_role(alike, widths) for alike in each]
    wanted = [
        wanted_start(role, [row.scores for row in alike], widths)
        for role, alike in zip(roles, each, strict=True)
    ]
    return xr.Dataset(
        {**_measured(values), **_exponents(values, widths)},
        coords={
            "width": list(widths),
            "seed": np.arange(shape[1]),
            "step": np.arange(shape[2]),
            "site": [*labels, OUTPUTS if OUTPUTS not in labels else f"{OUTPUTS} (outputs)"],
            "role": ("site", [*roles, "outputs"]),
            "feeds_scores": ("site", [*(row.feeds_scores for row in rows[0]), False]),
            "wanted": ("site", [*wanted, wanted_start("outputs", (), widths)]),
        },
        attrs={
            "response": response_of(sizes["response"][0]),
            "interval": "over seeds" if shape[1] > 1 else "of the regression",
        },
    )


def _role(alike: Sequence[CoordinateRow], widths: Sequence[int]) -> SiteRole:
    if alike[0].scores:
        return "scores"
    return role_of([row.fan_in for row in alike], [row.fan_out for row in alike], widths)


def _filled(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[width, seed, steps, sites] at the end of an array of ``shape`` with a step and site more."""
    whole = np.full(shape, np.nan)
    whole[:, :, shape[2] - values.shape[2] :, : values.shape[3]] = values
    return whole


def _measured(values: Sizes) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]:
    return {
        name: (_dims("width", "seed", array=array), array, {"long_name": _LONG_NAMES[name]})
        for name, array in values.items()
    }


def _exponents(
    values: Sizes, widths: Sequence[int]
) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]:
    """Of each variable, ``s_exponent`` for ``s_std``, and the half-width of its interval."""
    variables = {}
    for name, array in values.items():
        with np.errstate(divide="ignore"):
            slope = slope_interval(np.log(widths), np.log(array))
        short = f"{name.removesuffix('_std')}_exponent"
        words = f"exponent of width of: {_LONG_NAMES[name]}"
        dims = _dims(array=array)
        variables[short] = (dims, slope.mean, {"long_name": words})
        variables[f"{short}_half"] = (dims, slope.half, {"long_name": f"95% half-width, {words}"})
    return variables


def _dims(*first: str, array: np.ndarray) -> tuple[str, ...]:
    return (*first, "step", "site") if array.ndim == 4 else (*first, "site")
