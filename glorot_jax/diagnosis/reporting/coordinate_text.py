"""A check over widths as text and as a notebook's cell: verdict, faults, a row a site."""

import textwrap
from collections.abc import Sequence
from math import isnan

import xarray as xr

from glorot_jax.diagnosis.judging.scaling import (
    INVARIANT,
    PROPORTIONAL,
    Exponent,
    Fault,
    SiteGrowth,
    goes,
)
from glorot_jax.diagnosis.reporting.names import Names, names_of, shortened_all
from glorot_jax.templates import template
from glorot_jax.theory.parametrizations import ROLES

WIDTH = 100  # characters a line
MOST_FAULTS, MOST_ROWS = 20, 40
_LONGEST = 34  # characters of a name
_OPTIMIZERS = {
    PROPORTIONAL: "updates in proportion to gradients, as with SGD",
    INVARIANT: "updates that don't depend on the size of gradients, as with Adam",
}
_LEGEND = (
    "Exponents of width: of std(s) at the start; of what the kernel's own first update adds to s; "
    "of the change of s after the last one. As: the parametrisations with these exponents."
)


def as_text(data: xr.Dataset, sites: Sequence[SiteGrowth], faults: Sequence[Fault]) -> str:
    """What ``print`` shows."""
    names = site_names(data)
    table = rows(sites, faults, names)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 3 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    if len(sites) > MOST_ROWS:
        lines.append(f"    and {len(sites) - MOST_ROWS} more, in check.data")
    said = [_filled(f"!  {names.in_words(str(fault))}", "   ") for fault in faults[:MOST_FAULTS]]
    if len(faults) > MOST_FAULTS:
        said.append(f"   and {len(faults) - MOST_FAULTS} more, in check.faults")
    head = "\n".join(_filled(line) for line in (sizes(data), verdict(sites, faults)))
    parts = [head, "\n".join(said), "\n".join(lines), _filled(_LEGEND)]
    return "\n\n".join(filter(None, parts))


def as_html(data: xr.Dataset, sites: Sequence[SiteGrowth], faults: Sequence[Fault]) -> str:
    """The same for a notebook's cell, the table folded away."""
    names = site_names(data)
    titles, *cells = rows(sites, faults, names)
    return template(__package__, "coordinates.html.j2").render(
        sizes=sizes(data),
        verdict=verdict(sites, faults),
        faults=[names.in_words(str(fault)) for fault in faults],
        titles=titles,
        rows=cells,
        left_out=max(0, len(sites) - MOST_ROWS),
        legend=_LEGEND,
    )


def site_names(data: xr.Dataset) -> Names:
    """Of the sites, whose shared prefix the rows of other roles don't have."""
    sites = ~data.role.isin(["scores", "outputs"])
    return names_of([*map(str, data.site.values[sites.values])])


def sizes(data: xr.Dataset) -> str:
    """What was run, in a line."""
    widths = [int(width) for width in data.width.values]
    optimizer = _OPTIMIZERS.get(
        str(data.attrs["response"]), "updates of neither SGD's nor Adam's kind"
    )
    many = data.sizes["seed"]
    some = f"{many} seed{'s' if many > 1 else ''}"
    return (
        f"widths {', '.join(map(str, widths))}; {some} (95% intervals {data.attrs['interval']}); "
        f"{data.sizes['step'] - 1} {optimizer}"
    )


def verdict(sites: Sequence[SiteGrowth], faults: Sequence[Fault]) -> str:
    """One sentence."""
    outputs = f"the change of the outputs {goes(sites[-1].change)}"
    unclear = [site.site for site in sites if site.unclear]
    if not faults and unclear:
        return f"Verdict: unclear at {', '.join(unclear)}, more seeds would tell; {outputs}"
    if not faults:
        return f"Verdict: level, as maximal update (muP) wants it; {outputs}"
    return f"Verdict: not level{_whose(sites)}: {outputs}"


def _whose(sites: Sequence[SiteGrowth]) -> str:
    """The parametrisations that every kernel's exponents are those of."""
    kernels = [site for site in sites if site.role in ROLES]
    alike = set.intersection(*(set(site.like) for site in kernels)) if kernels else set()
    if "muP" in alike:  # which is level
        return ", though every kernel starts and first moves as in muP"
    return f", as in {' and '.join(sorted(alike))}" if alike else ""


def rows(
    sites: Sequence[SiteGrowth], faults: Sequence[Fault], names: Names
) -> list[tuple[str, ...]]:
    """Titles, and a row a site, those with faults marked."""
    marked = {fault.site for fault in faults}
    shown = list(sites)[: MOST_ROWS - 1] + list(sites)[max(MOST_ROWS - 1, len(sites) - 1) :]
    short = shortened_all([names.cut(site.site) for site in shown], _LONGEST)
    titles: tuple[str, ...] = ("", "site", "kind", "start", "update", "change", "as")
    return [titles] + [
        (
            "!" if site.site in marked else "",
            name,
            site.role,
            _cell(site.start),
            _cell(site.update),
            _cell(site.change),
            ", ".join(site.like) or "-",
        )
        for site, name in zip(shown, short, strict=True)
    ]


def _cell(exponent: Exponent) -> str:
    if isnan(exponent.value):
        return "-"
    half = "" if isnan(exponent.half) else f"±{exponent.half:.2f}"
    return f"{exponent.value + 0.0:.2f}{half}"


def _filled(line: str, indent: str = "") -> str:
    return textwrap.fill(
        line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
