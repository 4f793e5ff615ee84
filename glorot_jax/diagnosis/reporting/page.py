"""A report as one HTML file that opens from disk, on a phone as well, and as a notebook's cell."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from glorot_jax.diagnosis.judging.finding import NOTE, Finding
from glorot_jax.diagnosis.reporting import wording
from glorot_jax.diagnosis.reporting.names import LONGEST, names_of
from glorot_jax.diagnosis.reporting.table import MARKS, build_table
from glorot_jax.diagnosis.tracing.layout import Unreached
from glorot_jax.files import write_text
from glorot_jax.templates import template

OPENED = 2  # panels that aren't folded away: forward and backward
MOST_ROWS = 200


def write(
    data: xr.Dataset, findings: Sequence[Finding], unreached: Sequence[Unreached], path: Path | str
) -> Path:
    """The page at ``path``, whole or not at all.

    Raises:
      OSError: it can't be written.
    """
    # Matplotlib takes long to import, and a notebook's cell has no figure.
    from glorot_jax.diagnosis.reporting import figure

    panels = [(name, inline(drawn, i)) for i, (name, drawn) in enumerate(figure.panels(data))]
    context = _context(data, findings, unreached)
    html = template(__package__, "page.html.j2").render(**context, panels=panels, opened=OPENED)
    return write_text(path, html)


def fragment(data: xr.Dataset, findings: Sequence[Finding], unreached: Sequence[Unreached]) -> str:
    """The verdict and a table that unfolds, for a notebook's cell."""
    context = _context(data, findings, unreached)
    return template(__package__, "fragment.html.j2").render(context)


def _context(
    data: xr.Dataset, findings: Sequence[Finding], unreached: Sequence[Unreached]
) -> Mapping[str, Any]:
    """What both templates are given."""
    names = names_of([*map(str, data.site.values)])
    table = build_table(data, findings, longest=LONGEST, most=MOST_ROWS)
    head = [wording.sizes(data), *(names.in_words(line) for line in wording.seen(data))]
    worst = min(findings, key=lambda finding: finding.rank).severity if findings else NOTE
    return {
        "title": data.attrs.get("model", wording.UNNAMED),
        "head": "; ".join(head),
        "sites": data.sizes["site"],
        "findings": findings,
        "worst": "" if worst == NOTE else worst,
        "sentence": wording.verdict(data, findings),
        "measured": wording.measured,
        "words": wording.severity_in_words,
        "marks": MARKS,
        "severities": {"": "", **{mark: severity for severity, mark in MARKS.items()}},
        "names": names,
        "lines": wording.closing(data, names),
        "titles": [{"title": "", "says": ""}, {"title": "site", "says": ""}]
        + [{"title": column.title, "says": column.says} for column in table.columns],
        "table": table,
        "unreached": unreached,
    }


def inline(drawn: Any, index: int) -> str:
    """A figure as SVG inside the page, in the page's own colours.

    Identifiers are those of a whole page there, so each panel's get a letter of their own.
    """
    from glorot_jax.diagnosis.reporting import figure

    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    drawn.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r'(?<=id=")|(?<=href="#)|(?<=url\(#)', f"panel{index}-", svg)
    for size in ("width", "height"):
        svg = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", svg)
    for drawn_in, css in ((figure.INK, "currentColor"), (figure.RULE, "var(--line)")):
        svg = svg.replace(drawn_in, css)
    return svg
