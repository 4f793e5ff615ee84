"""A report as one HTML file that opens from disk, on a phone as well."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from glorot_jax.diagnosis.judging.finding import Finding
from glorot_jax.diagnosis.reporting import figure
from glorot_jax.diagnosis.reporting.table import against_theory, cells, through
from glorot_jax.diagnosis.tracing.layout import Unreached
from glorot_jax.files import write_text
from glorot_jax.templates import template

TEMPLATE = "page.html.j2"
DPI = 130


def write(
    data: xr.Dataset, findings: Sequence[Finding], unreached: Sequence[Unreached], path: Path | str
) -> Path:
    """The page at ``path``, whole or not at all.

    Raises:
      OSError: it can't be written.
    """
    titles, rows = cells(data, findings)
    html = template(__package__, TEMPLATE).render(
        title=data.attrs.get("model", "Signals of a model"),
        examples=data.attrs["examples"],
        nets=data.sizes["seed"],
        titles=titles,
        rows=rows,
        findings=findings,
        lines=[line for line in (against_theory(data), through(data)) if line],
        unreached=unreached,
        image=_image(figure.draw(data)),
    )
    return write_text(path, html)


def _image(drawn: Figure) -> str:
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=DPI)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
