"""A watched run as one HTML file that opens from disk: findings, images, a slider over updates."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from glorot_jax.diagnosis.judging.finding import NOTE, SEVERE, Finding
from glorot_jax.diagnosis.judging.history import counted
from glorot_jax.diagnosis.reporting import wording
from glorot_jax.diagnosis.reporting.names import names_of
from glorot_jax.diagnosis.reporting.table import MARKS
from glorot_jax.files import save_as, write_text
from glorot_jax.templates import template

OPENED = 4  # panels that aren't folded away
MOST_UPDATES = 200  # of the slider
DIGITS = 4


@dataclass(frozen=True)
class RunPage:
    """A run and what is said of it. ``data``: [update, site] by the name of a statistic."""

    data: xr.Dataset
    findings: tuple[Finding, ...]
    name: str

    @cached_property
    def html(self) -> str:
        """The whole page; nothing in it is loaded from elsewhere."""
        # Matplotlib takes long to import.
        from glorot_jax.diagnosis.reporting import page, run_figure

        panels = run_figure.panels(self.data)
        return template(__package__, "run.html.j2").render(
            **self._context(),
            panels=[(name, page.inline(drawn, i)) for i, (name, drawn) in enumerate(panels)],
            opened=OPENED,
            chosen=_for_slider(self.data),
        )

    def _context(self) -> Mapping[str, Any]:
        worst = min(self.findings, key=lambda one: one.rank).severity if self.findings else NOTE
        return {
            "title": self.name,
            "head": self._sizes(),
            "findings": self.findings,
            "worst": "" if worst == NOTE else worst,
            "sentence": self._sentence(),
            "measured": wording.measured,
            "marks": MARKS,
            "names": names_of([*map(str, self.data.site.values)]),
        }

    def _sizes(self) -> str:
        updates, sites = self.data["update"].values, self.data.sizes["site"]
        measured = f"{len(updates)} measurement{'' if len(updates) == 1 else 's'}"
        span = f"update {counted(int(updates[0]))} to {counted(int(updates[-1]))}"
        return f"{sites} {'site' if sites == 1 else 'sites'}, {measured}, {span}"

    def _sentence(self) -> str:
        bad = [one for one in self.findings if one.severity != NOTE]
        if not bad:
            return "nothing to find fault with"
        severe = [one for one in bad if one.severity == SEVERE]
        return f"{', '.join(one.kind for one in bad)} ({len(severe)} severe)"

    def __str__(self) -> str:
        """Sizes, the verdict, and each finding on a line."""
        lines = [self.name, self._sizes(), f"Verdict: {self._sentence()}"]
        return "\n".join([*lines, *map(str, self.findings)])

    def _repr_html_(self) -> str:
        return self.html

    def save(self, path: Path | str) -> Path:
        """One HTML file; where ``path`` ends in .nc, the data as netCDF.

        Raises:
          ValueError: ``path`` ends in neither. OSError: it can't be written.
        """
        return save_as(path, self.data, lambda path: write_text(path, self.html))


def _for_slider(data: xr.Dataset) -> Mapping[str, Any]:
    """Profiles at some updates as plain lists, null where nothing is known."""
    from glorot_jax.diagnosis.reporting import run_figure
    from glorot_jax.diagnosis.reporting.figure import evenly, short_names

    chosen = evenly(data.sizes["update"], MOST_UPDATES)
    return {
        "sites": short_names(data),
        "updates": [int(data["update"].values[index]) for index in chosen],
        "statistics": [
            {
                "name": statistic.title,
                "log": not statistic.fraction and run_figure.is_wide(values),
                "values": [[_rounded(value) for value in values[index]] for index in chosen],
            }
            for statistic, values in run_figure.shown(data)
        ],
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
