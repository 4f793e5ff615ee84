"""A run in Markdown: what was decided, and Table 1, for a README, an issue or a terminal."""

from collections.abc import Sequence

import xarray as xr

from glorot_jax.claims import Judgement, Status, counts
from glorot_jax.report.tables import Table, in_order, table_1, to_markdown

UNDECIDED: Status = "not tested"


def summary(results: xr.Dataset, judgements: Sequence[Judgement]) -> str:
    """Counts, every claim that holds or fails with its numbers, and Table 1."""
    decided = [judgement for judgement in in_order(judgements) if judgement[1].status != UNDECIDED]
    found = counts(judgements)
    head = (
        f"**{found['holds']} hold, {found['fails']} fail, {found[UNDECIDED]} are not "
        f"tested at this scale.** {_provenance(results)}"
    )
    rows = tuple(
        (verdict.status, f"{claim.paper} ({claim.where})", verdict.reason)
        for claim, verdict in decided
    )
    table = Table("claims", "Claims", ("", "the paper", "this run"), rows)
    tables = [table, table_1(results)]
    return "\n\n".join([head, *(to_markdown(t).strip() for t in tables if t is not None)]) + "\n"


def _provenance(results: xr.Dataset) -> str:
    known = results.attrs
    if "preset" not in known:
        return ""
    day = str(known.get("finished", "")).partition("T")[0]
    minutes = float(known.get("wall_time_s", 0)) / 60
    return f"Preset `{known['preset']}`, {day}, {known.get('device')}, {minutes:.1f} minutes."
