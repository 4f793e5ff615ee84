"""A model in, a report on how its signals move out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import optax
import xarray as xr

from glorot_jax.diagnosis.judging.finding import NOTE, SEVERE, WARNING, Finding
from glorot_jax.diagnosis.reporting.table import Order
from glorot_jax.diagnosis.reporting.text import as_text, table_text
from glorot_jax.diagnosis.tracing.layout import Unreached
from glorot_jax.files import save_as
from glorot_jax.losses import cross_entropy
from glorot_jax.typing import ApplyFn, Loss

# Matplotlib takes longer to import than all the rest, and a training job draws nothing.
if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Model(NamedTuple):
    """Something to diagnose: the arguments of ``diagnose`` in one value.

    ``ignore``: what of it is deliberate, kinds of findings or patterns of sites.
    """

    apply_fn: ApplyFn[Any]
    params: Any
    x: Any
    y: jax.Array
    loss: Loss = cross_entropy
    optimizer: optax.GradientTransformation | None = None
    ignore: Sequence[str] = ()
    signal: Sequence[str] = ()


class UnhealthyError(ValueError):
    """A report has findings that it may not have; its text is one line for each."""


@dataclass(frozen=True)
class Report:
    """How signals move through a model: ``data``, with dims seed and site, and what follows."""

    data: xr.Dataset

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, causes first: severe ones, warnings, then notes."""
        return tuple(_finding(one) for one in json.loads(self.data.attrs["findings"]))

    @property
    def unreached(self) -> tuple[Unreached, ...]:
        """What of the model isn't seen, or is less than it seems."""
        return tuple(Unreached(*pair) for pair in json.loads(self.data.attrs["unreached"]))

    @property
    def healthy(self) -> bool:
        """Whether no finding is severe."""
        return all(finding.severity != SEVERE for finding in self.findings)

    def to_dataset(self) -> xr.Dataset:
        """Every number, labelled; each variable's ``long_name`` says what it is."""
        return self.data

    def __str__(self) -> str:
        """What is seen, the verdict, the table in the order of depth, as wide as the terminal."""
        return self.to_text()

    def to_text(self, *, order: Order = "depth", width: int | None = None) -> str:
        """As ``print`` shows it; ``width`` in characters, by default the terminal's, or 100.

        Raises:
          ValueError: ``order`` is neither "depth" nor "worst".
        """
        return as_text(self.data, self.findings, self.unreached, order=order, width=width)

    def table(self, *, order: Order = "depth", width: int | None = None) -> str:
        """The table alone, columns of least use left out where ``width`` has no room for them.

        In the order of "depth", alike layers of a large net are one row; "worst" has the sites
        that findings are about first, each by itself.

        Raises:
          ValueError: ``order`` is neither "depth" nor "worst".
        """
        return table_text(self.data, self.findings, order=order, width=width)

    def plot(self) -> "Figure":
        """Forward and backward profile with theory, fractions, spectra and histograms."""
        from glorot_jax.diagnosis.reporting import figure

        return figure.draw(self.data)

    def save(self, path: Path | str) -> Path:
        """One HTML file with everything; where ``path`` ends in .nc, the data as netCDF.

        Raises:
          ValueError: ``path`` ends in neither. OSError: it can't be written.
        """

        def write(path: Path) -> Path:
            from glorot_jax.diagnosis.reporting import page

            return page.write(self.data, self.findings, self.unreached, path)

        return save_as(path, self.data, write)

    def _repr_html_(self) -> str:
        from glorot_jax.diagnosis.reporting import page

        return page.fragment(self.data, self.findings, self.unreached)

    def raise_if_unhealthy(self, *, warnings: bool = False) -> None:
        """For CI.

        Raises:
          UnhealthyError: a finding is severe; with ``warnings``, or a warning.
        """
        allowed = {NOTE} if warnings else {NOTE, WARNING}
        bad = [str(finding) for finding in self.findings if finding.severity not in allowed]
        if bad:
            raise UnhealthyError("\n".join(bad))


def _finding(stored: dict[str, Any]) -> Finding:
    tuples = {name: tuple(stored[name]) for name in ("sites", "follows")}
    factors = tuple((str(label), float(factor)) for label, factor in stored["factors"])
    return Finding(**{**stored, **tuples, "factors": factors})
