"""A report as text: a table, worst layer first, then the findings and what isn't seen."""

import shutil
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from glorot_jax.diagnosis.judging.finding import SEVERE, WARNING, Finding
from glorot_jax.diagnosis.tracing.layout import Unreached

MARKS = {SEVERE: "!!", WARNING: "!"}
MOST_ROWS = 40
EXPLAINED = 3.0  # standard deviations of the draw of the weights


class Column(NamedTuple):
    """``name`` of a variable, ``title`` and ``format`` of its mean over seeds."""

    name: str
    title: str
    format: str


COLUMNS = (
    Column("gain", "n Var[W]", ".3g"),
    Column("z_std", "std z", ".3g"),
    Column("s_std", "std s", ".3g"),
    Column("s_theory_gap", "vs theory", "+.1%"),
    Column("saturated", "sat.", ".1%"),
    Column("dead", "dead", ".1%"),
    Column("s_cosine", "cos", ".3f"),
    Column("ds_std", "std dC/ds", ".2e"),
    Column("dw_ratio", "|dC/dw|/|w|", ".2e"),
    Column("sigma_mean", "mean sigma", ".3g"),
    Column("sigma_max", "max sigma", ".3g"),
)


def cells(data: xr.Dataset, findings: Sequence[Finding]) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of the table, the worst site first, columns of NaN left out."""
    means = data.mean("seed", skipna=True)
    means["s_theory_gap"] = means.s_mean_square / means.s_mean_square_predicted - 1
    shown = [c for c in COLUMNS if c.name in means and np.isfinite(means[c.name]).any()]
    rows = [
        [
            _mark(str(site), findings),
            str(site),
            *(_written(float(means[c.name][index]), c.format) for c in shown),
        ]
        for index, site in enumerate(data.site.values)
    ]
    order = worst_first(means, findings)
    return ["", "site", *(c.title for c in shown)], [rows[index] for index in order]


def worst_first(means: xr.Dataset, findings: Sequence[Finding]) -> list[int]:
    """Rows by what is said of them, then by how far each is from passing a signal on unchanged."""
    with np.errstate(divide="ignore", invalid="ignore"):
        away = [np.abs(np.log(means[f"gain_{way}"].values)) for way in ("forward", "backward")]
    away += [
        means[name].where(means.two_sided | (name == "dead")).values
        for name in ("saturated", "dead")
    ]
    badness = np.sum(np.nan_to_num(away, posinf=1e3), axis=0)
    marks = ["", "!", "!!"]
    said = [marks.index(_mark(str(site), findings)) for site in means.site.values]
    return sorted(range(len(said)), key=lambda row: (-said[row], -badness[row]))


def _mark(site: str, findings: Sequence[Finding]) -> str:
    said = {finding.severity for finding in findings if site in finding.sites}
    return MARKS[SEVERE] if SEVERE in said else MARKS[WARNING] if said else ""


def _written(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "-" if np.isnan(value) else str(value)


def as_text(data: xr.Dataset, findings: Sequence[Finding], unreached: Sequence[Unreached]) -> str:
    """What ``print`` shows of a report."""
    titles, rows = cells(data, findings)
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [titles, *rows[:MOST_ROWS]]
    ]
    if len(rows) > MOST_ROWS:
        lines.append(f"    and {len(rows) - MOST_ROWS} more, in to_dataset()")
    seeds, examples = data.sizes["seed"], data.attrs["examples"]
    nets = "1 net" if seeds == 1 else f"{seeds} nets"
    head = f"{len(rows)} sites, {examples} examples, {nets}, worst first"
    said = [f"  {finding}" for finding in findings] or ["  nothing to find fault with"]
    unseen = [f"  {one.name} {one.reason}" for one in unreached]
    theory = against_theory(data)
    wide = max(60, min(shutil.get_terminal_size().columns, 110))
    wrapped = [textwrap.fill(line, wide, subsequent_indent="    ") for line in ["Findings", *said]]
    notes = [textwrap.fill(line, wide, subsequent_indent="    ") for line in unseen]
    for line in (theory, through(data)):
        lines += ["", textwrap.fill(line, wide)] if line else []
    return "\n".join([head, "", *lines, "", *wrapped, *(["Not seen", *notes] if notes else [])])


def against_theory(data: xr.Dataset) -> str:
    """How far q is from what mean field expects, and how far the draw of the weights takes it."""
    means = data.mean("seed", skipna=True)
    noise = means.s_mean_square_noise.values / np.sqrt(data.sizes["seed"])
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = (means.s_mean_square / means.s_mean_square_predicted - 1).values
        ratio = np.abs(gap) / noise
    if not np.isfinite(ratio).any():
        return ""
    worst = int(np.nanargmax(np.where(np.isfinite(ratio), ratio, np.nan)))
    verdict = "that explains it" if ratio[worst] < EXPLAINED else "these are not random weights"
    return (
        f"Theory: E[s^2] is furthest from mean field at {data.site.values[worst]}: "
        f"{gap[worst]:+.1%}, {ratio[worst]:.1f} times what the draw of such weights varies by "
        f"({noise[worst]:.1%}): {verdict}."
    )


def through(data: xr.Dataset) -> str:
    """The Jacobian of the whole net in a line; nothing where it wasn't found."""
    if "whole_sigma_mean" not in data or not np.isfinite(data.whole_sigma_mean).any():
        return ""
    mean, largest, condition = (
        float(data[f"whole_sigma_{name}"].mean()) for name in ("mean", "max", "condition")
    )
    least = "" if data.whole_sigma_exact.all() else "at least "
    return (
        f"Input to output: singular values of d logits / d x have mean {mean:.3g}, largest "
        f"{largest:.3g}, condition {least}{condition:.3g}."
    )
