"""A report as text: what was seen, the verdict, causes first, then the table."""

import shutil
import textwrap
from collections.abc import Sequence

import xarray as xr

from glorot_jax.diagnosis.judging.finding import NOTE, Finding
from glorot_jax.diagnosis.reporting import wording
from glorot_jax.diagnosis.reporting.names import Names, names_of
from glorot_jax.diagnosis.reporting.table import MARKS, Order, build_table
from glorot_jax.diagnosis.tracing.layout import Unreached

WIDTH = 100  # characters, where there is no terminal
_LEAST_WIDTH, _MOST_WIDTH = 60, 140
_INDENT = "   "


def as_text(
    data: xr.Dataset,
    findings: Sequence[Finding],
    unreached: Sequence[Unreached],
    *,
    order: Order = "depth",
    width: int | None = None,
) -> str:
    """What ``print`` shows of a report; ``width``: characters a line, the terminal's by default."""
    width = _width() if width is None else width
    names = names_of([*map(str, data.site.values)])
    first = [wording.sizes(data), *wording.seen(data)]
    if data.attrs["model"] != wording.UNNAMED:
        first.insert(0, data.attrs["model"])
    head = [_filled(names.in_words(line), width) for line in first]
    said = [f"Verdict: {wording.verdict(data, findings)}", *_findings(findings, names, width)]
    closing = wording.closing(data, names)
    parts = [
        "\n".join(head),
        "\n".join(said),
        table_text(data, findings, order=order, width=width),
        *(_filled(line, width) for line in closing),
        _not_seen(unreached, names, width),
    ]
    return "\n\n".join(filter(None, parts))


def table_text(
    data: xr.Dataset,
    findings: Sequence[Finding],
    *,
    order: Order = "depth",
    width: int | None = None,
) -> str:
    """The table and what its columns say."""
    width = _width() if width is None else width
    table = build_table(data, findings, order=order, longest=width * 2 // 5).within(width)
    legend = textwrap.fill(table.legend, width, initial_indent="    ", subsequent_indent="    ")
    return "\n".join([*table.lines(), "", legend])


def _width() -> int:
    columns = shutil.get_terminal_size((WIDTH, 0)).columns
    return max(_LEAST_WIDTH, min(columns, _MOST_WIDTH))


def _findings(findings: Sequence[Finding], names: Names, width: int) -> list[str]:
    lines: list[str] = []
    for finding in findings:
        brief = finding.severity == NOTE
        lines += [] if brief else [""]
        mark = MARKS[finding.severity].ljust(len(_INDENT))
        sign = wording.severity_in_words(finding)
        lines.append(_filled(f"{mark}{sign}: {names.in_words(finding.text)}", width, _INDENT))
        lines += [] if brief else _below(finding, names, width)
    if findings and findings[-1].severity == NOTE:
        first = next(i for i, line in enumerate(lines) if line.startswith(MARKS[NOTE]))
        lines.insert(first, "")
    return lines


def _below(finding: Finding, names: Names, width: int) -> list[str]:
    """Consequences, the cure and the limit, under a finding."""
    follows = [
        _filled(f"{_INDENT}- {names.in_words(one)}", width, f"{_INDENT}  ")
        for one in finding.follows
    ]
    lines = [f"{_INDENT}and so:", *follows] if follows else []
    for title, text in (("try", finding.cure), ("measured", wording.measured(finding))):
        if text:
            lines.append(_filled(f"{_INDENT}{title}: {names.in_words(text)}", width, _INDENT * 2))
    return lines


def _not_seen(unreached: Sequence[Unreached], names: Names, width: int) -> str:
    if not unreached:
        return ""
    lines = [_filled(f"{_INDENT}{names.cut(a.name)} {a.reason}", width, "     ") for a in unreached]
    return "\n".join(["Not seen", *lines])


def _filled(line: str, width: int, indent: str = "") -> str:
    return textwrap.fill(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
