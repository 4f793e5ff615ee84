"""A run in Markdown: what was decided and the main tables, for a README or a terminal."""

from collections.abc import Sequence

import xarray as xr

from experiments.claims import Judgement, Status, at_false_discovery_rate, counts, q_values
from experiments.report import facts, tables
from experiments.report.scope import left_out
from experiments.report.states import ORDER, counted
from experiments.report.story import badges
from experiments.report.tables import Table, probability, to_markdown

UNTESTED: Status = "not tested"


def summary(
    results: xr.DataTree, judgements: Sequence[Judgement], ours: Sequence[Judgement] = ()
) -> str:
    """Counts, every claim that was tested with its numbers, and what was measured in tables.

    ``ours``, judgements of claims of our own, stand apart.
    """
    scale = ", ".join(badges(results))
    head = f"**{_counted(judgements)} at this scale: {scale}.** {_provenance(results)}"
    table = _claims(judgements, "the paper")
    measured = [
        tables.table_1(results),
        tables.selection(results),
        *(tables.of_group(results, name) for name in ("section5", "costs")),
        tables.baseline(results),
        *tables.question(results),
    ]
    apart = f"### Our own claims, not the paper's: {_counted(ours, zeros=False)}\n\n"
    sections = [
        to_markdown(table) if table.rows else "",
        apart + to_markdown(_claims(ours, "what we expected")) if ours else "",
        *(f"### {t.title}\n\n{to_markdown(t)}" for t in measured if t is not None),
        _left_out(results),
    ]
    return "\n\n".join([head, *(text.strip() for text in sections if text)]) + "\n"


def _claims(judgements: Sequence[Judgement], whose: str) -> Table:
    """Those that were tested, with what decided them, those against what is claimed first."""
    tested = [
        (ORDER.index(one.verdict.status), one, q)
        for one, q in zip(judgements, q_values(judgements), strict=True)
        if one.verdict.status != UNTESTED
    ]
    rows = tuple(
        (
            one.verdict.status,
            f"{one.claim.paper} ({one.claim.where})",
            one.verdict.reason,
            probability(q),
        )
        for _, one, q in sorted(tested, key=lambda each: each[0])
    )
    header = ("", whose, "this run", "q")
    return Table("claims", "Claims", header, rows, at_false_discovery_rate(judgements))


def _counted(judgements: Sequence[Judgement], *, zeros: bool = True) -> str:
    count = counts(judgements)
    return ", ".join(counted(status, count[status]) for status in ORDER if count[status] or zeros)


def _left_out(results: xr.DataTree) -> str:
    """What these results lack, as a list under its title; "" if they lack nothing."""
    lines = [
        " ".join(
            filter(None, (f"- {one.what}.", one.config and f"Shown by `{one.config}`.", one.why))
        )
        for one in left_out(results)
    ]
    return "\n".join(["### Left out\n", *lines]) if lines else ""


def _provenance(results: xr.DataTree) -> str:
    known = results.attrs
    if "preset" not in known:
        return ""
    day = str(known.get("finished", "")).partition("T")[0]
    minutes = float(known.get("wall_time_s", 0)) / 60
    changed = "".join(f", changed: {field} = {value}" for field, value in facts.changed(results))
    preset = f"Preset `{known['preset']}`{changed}"
    return f"{preset}, {day}, {known.get('device')}, {minutes:.1f} minutes."
