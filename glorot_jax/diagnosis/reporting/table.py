"""The table of a report: a row a site, or one for many alike, as wide as there is room."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import xarray as xr

from glorot_jax.diagnosis.judging.finding import NOTE, SEVERE, WARNING, Finding
from glorot_jax.diagnosis.reporting.folding import Folded, folded, unfolded
from glorot_jax.diagnosis.reporting.names import Names, names_of, shortened_all
from glorot_jax.theory.meanfield import LARGEST_Q, SMALLEST_Q

Order: TypeAlias = Literal["depth", "worst"]

MARKS = {SEVERE: "!!", WARNING: "!", NOTE: "·"}
MOST_ROWS = 40
FOLDED_FROM = 25  # rows, more than which are folded
_GAP = 2  # blanks between columns


@dataclass(frozen=True)
class Column:
    """A variable's ``name`` and ``title``, how it is written, and what it says.

    ``use``: 1 for the first that is worth its room; ``zeros``: whether a column of them is, too.
    """

    name: str
    title: str
    format: str
    says: str
    use: int
    zeros: bool = True


COLUMNS = (
    Column("gain", "n Var[W]", ".3g", "fan-in times variance of the kernel", 4),
    Column("z_std", "std z", ".2g", "spread of the input", 10),
    Column("s_std", "std s", ".2g", "spread of the pre-activation s = z W + b", 1),
    Column("s_theory_gap", "vs theory", "+.0%", "E[s²] against that of random weights", 8),
    Column("saturated", "sat.", ".0%", "share of s where the activation is flat", 6, False),
    Column("dead", "dead", ".0%", "share of units with slope 0 for all examples", 5, False),
    Column("s_cosine", "cos", ".2f", "mean cosine of s between two examples", 7),
    Column("ds_norm", "|dC/ds|", ".2g", "norm of the gradient in s", 2),
    Column("dw_ratio", "|dC/dw|/|w|", ".2g", "gradient of the kernel over its size", 3),
    Column("sigma_mean", "mean sigma", ".3g", "mean singular value of diag(f'(s)) W", 11),
    Column("sigma_max", "max sigma", ".3g", "largest singular value of diag(f'(s)) W", 9),
)


@dataclass(frozen=True)
class Table:
    """``rows`` of (mark, name, cell a column); ``left_out``: how many more there are."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0

    @property
    def titles(self) -> tuple[str, ...]:
        """Of every column, that of the marks empty."""
        return ("", "site", *(column.title for column in self.columns))

    @property
    def width(self) -> int:
        """Characters of a line."""
        return sum(self.widths) + _GAP * (len(self.widths) - 1)

    @property
    def widths(self) -> list[int]:
        """Characters of each column."""
        rows = [self.titles, *self.rows]
        return [max(len(row[i]) for row in rows) for i in range(len(self.titles))]

    @property
    def legend(self) -> str:
        """What each column says."""
        return "; ".join(f"{column.title}: {column.says}" for column in self.columns)

    def lines(self) -> list[str]:
        """Marks and names on the left, numbers on the right of their columns."""
        gap = " " * _GAP
        lines = [
            gap.join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, self.widths, strict=True))
            ).rstrip()
            for row in [self.titles, *self.rows]
        ]
        more = f"    and {self.left_out} more, in report.data"
        return [*lines, more] if self.left_out else lines

    def within(self, width: int) -> "Table":
        """Without the columns of least use that a line of ``width`` has no room for."""
        table = self
        while table.width > width and len(table.columns) > 1:
            least = max(range(len(table.columns)), key=lambda i: table._use(i))
            table = table._without(least)
        return table

    def _use(self, index: int) -> tuple[bool, int]:
        column = self.columns[index]
        empty = not column.zeros and all(row[index + 2] in ("0%", "-") for row in self.rows)
        return empty, column.use

    def _without(self, index: int) -> "Table":
        columns = self.columns[:index] + self.columns[index + 1 :]
        rows = tuple(row[: index + 2] + row[index + 3 :] for row in self.rows)
        return Table(columns, rows, self.left_out)


def build_table(
    data: xr.Dataset,
    findings: Sequence[Finding],
    *,
    order: Order = "depth",
    longest: int = 40,
    most: int = MOST_ROWS,
) -> Table:
    """Means over seeds, in the order of the program, alike layers folded; or the worst first.

    ``longest``: characters of a name. Columns that are all NaN are left out.

    Raises:
      ValueError: ``order`` is neither "depth" nor "worst".
    """
    if order not in ("depth", "worst"):
        raise ValueError(f'order: "{order}" is neither "depth" nor "worst"')
    means = data.mean("seed", skipna=True)
    means["s_theory_gap"] = theory_gap(means)
    columns = tuple(c for c in COLUMNS if c.name in means and np.isfinite(means[c.name]).any())
    marks = [_mark(str(site), findings) for site in data.site.values]
    lines = _lines(data, names_of([*map(str, data.site.values)]), marks, means, order)
    shown = _most(lines, marks, most)
    names = shortened_all([line.name for line in shown], longest)
    rows = tuple(
        (marks[line.members[0]], name, *(_cell(means[c.name].values, line, c) for c in columns))
        for line, name in zip(shown, names, strict=True)
    )
    return Table(columns, rows, sum(len(line.members) for line in lines if line not in shown))


def theory_gap(means: xr.Dataset) -> xr.DataArray:
    """E[s^2] over what mean field expects, less 1; NaN outside the q that it knows."""
    q, expected = means.s_mean_square, means.s_mean_square_predicted
    known = (q > SMALLEST_Q) & (q < LARGEST_Q) & (expected > SMALLEST_Q) & (expected < LARGEST_Q)
    gap: xr.DataArray = q.where(known) / expected.where(known) - 1
    return gap


def _lines(
    data: xr.Dataset, names: Names, marks: Sequence[str], means: xr.Dataset, order: Order
) -> list[Folded]:
    cut = [names.cut(str(site)) for site in data.site.values]
    if order == "worst":
        return unfolded(cut, _worst_first(means, marks))
    if len(cut) <= FOLDED_FROM:
        return unfolded(cut, range(len(cut)))
    kind = zip(marks, data.kind.values, data.fan_in.values, data.fan_out.values, strict=True)
    return folded(cut, list(kind))


def _most(lines: Sequence[Folded], marks: Sequence[str], most: int) -> list[Folded]:
    """Those to be shown, in their order; where they are too many, those with marks first."""
    if len(lines) <= most:
        return list(lines)
    rank = list(MARKS.values())
    by_mark = sorted(
        range(len(lines)),
        key=lambda i: (
            rank.index(marks[lines[i].members[0]]) if marks[lines[i].members[0]] else len(rank)
        ),
    )
    return [lines[i] for i in sorted(by_mark[:most])]


def _worst_first(means: xr.Dataset, marks: Sequence[str]) -> list[int]:
    """Rows by what is said of them, then by how far each is from passing a signal on unchanged."""
    with np.errstate(divide="ignore", invalid="ignore"):
        away = [np.abs(np.log(means[f"gain_{way}"].values)) for way in ("forward", "backward")]
    away += [
        means[name].where(means.two_sided | (name == "dead")).values
        for name in ("saturated", "dead")
    ]
    badness = np.sum(np.nan_to_num(away, posinf=1e3), axis=0)
    rank = list(MARKS.values())
    said = [rank.index(mark) if mark else len(rank) for mark in marks]
    return sorted(range(len(said)), key=lambda row: (said[row], -badness[row]))


def _mark(site: str, findings: Sequence[Finding]) -> str:
    said = {finding.severity for finding in findings if site in finding.sites}
    return next((mark for severity, mark in MARKS.items() if severity in said), "")


def _cell(values: np.ndarray, line: Folded, column: Column) -> str:
    """One value, or the least and the greatest of a line of many."""
    some = values[list(line.members)]
    known = some[np.isfinite(some)]
    if not known.size:
        return "-"
    form = column.format if len(line.members) == 1 else column.format.replace(".3g", ".2g")
    low, high = _written(float(known.min()), form), _written(float(known.max()), form)
    return low if low == high else f"{low}..{high}"


def _written(value: float, form: str) -> str:
    text = format(value, form)
    if form.endswith("%") and 0 < abs(value) < 0.005:
        return "<1%" if form == ".0%" else "0%"
    return text.removeprefix("-") if not text.strip("-0.%") else text
