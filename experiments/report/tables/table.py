"""A table of plain text cells, and how its numbers are written."""

from dataclasses import dataclass

import numpy as np

MISSING = "-"
LEAST_PROBABILITY = 0.0001  # smaller ones are as good as this


@dataclass(frozen=True)
class Table:
    """One table: its ``header`` and ``rows`` of text cells, and a ``note`` to read it by.

    ``key`` is what claims call it by; ``bold`` are the cells in bold, as (row, column).
    """

    key: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    bold: frozenset[tuple[int, int]] = frozenset()


def with_interval(
    mean: np.ndarray | float, half: np.ndarray | float = np.nan, *, digits: int
) -> str:
    """``mean ± half``, without the second where it isn't known; a dash for no number."""
    if not np.isfinite(mean):
        return MISSING
    known = f" ± {half:.{digits}f}" if np.isfinite(half) else ""
    return f"{mean:.{digits}f}{known}"


def number(value: float) -> str:
    """A number as short as it can be; a dash for none."""
    return f"{value:g}" if np.isfinite(value) else MISSING


def probability(value: float | None) -> str:
    """A p or q to two digits; a dash for none."""
    if value is None:
        return MISSING
    least = f"< {LEAST_PROBABILITY}"
    return least if value < LEAST_PROBABILITY else number(float(f"{value:.2g}"))


def to_markdown(table: Table) -> str:
    """``table`` as GitHub Markdown, without its title."""
    rows = [
        [_cell(cell, bold=(i, j) in table.bold) for j, cell in enumerate(row)]
        for i, row in enumerate(table.rows)
    ]
    lines = [[_cell(cell) for cell in table.header], ["---" for _ in table.header], *rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{text}\n\n{table.note}\n" if table.note else f"{text}\n"


def _cell(text: str, *, bold: bool = False) -> str:
    escaped = " ".join(text.replace("|", "\\|").split())
    return f"**{escaped}**" if bold else escaped
