"""Write two scores of the clinic, of the tool before and after, into docs/clinic.md.

    python -m benchmarks.clinic.page BEFORE.json AFTER.json [--page docs/clinic.md]

Both files are made by ``python -m benchmarks.clinic.score --json FILE``.
"""

import argparse
import collections
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.clinic.score import HEALTHY_VERDICTS, SICK_VERDICTS

START, END = "<!-- scores: by benchmarks/clinic/page.py -->", "<!-- end of scores -->"
Row = Mapping[str, Any]


def totals(before: Sequence[Row], after: Sequence[Row]) -> list[str]:
    """How many cases have each verdict."""
    lines = ["| verdict | before | after |", "| --- | ---: | ---: |"]
    for title, verdicts, sick in (
        ("sick", SICK_VERDICTS, True),
        ("healthy", HEALTHY_VERDICTS, False),
    ):
        counts = [
            collections.Counter(s["verdict"] for s in rows if (s["truth"] != "healthy") == sick)
            for rows in (before, after)
        ]
        lines += [f"| {title}: {v} | {counts[0][v]} | {counts[1][v]} |" for v in verdicts]
    return lines


def by_room(before: Sequence[Row], after: Sequence[Row]) -> list[str]:
    """Of each file of cases: the sick named first and the healthy left quiet."""

    def share(rows: Sequence[Row], room: str, right: str, sick: bool) -> str:
        of = [s for s in rows if s["room"] == room and (s["truth"] != "healthy") == sick]
        return f"{sum(s['verdict'] == right for s in of)} of {len(of)}" if of else ""

    lines = [
        "| kind | sick, named first: before | after | healthy, quiet: before | after |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for room in sorted({s["room"] for s in after}):
        cells = [
            share(rows, room, right, sick)
            for right, sick in (("named first", True), ("quiet", False))
            for rows in (before, after)
        ]
        lines.append(f"| {room} | {' | '.join(cells)} |")
    return lines


def by_case(before: Sequence[Row], after: Sequence[Row]) -> list[str]:
    """A line a case."""
    old = {s["name"]: s["verdict"] for s in before}
    lines = [
        "| case | truth | before | after | first finding after |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {s['name']} | {s['truth']} | {old.get(s['name'], '')} | {s['verdict']} "
        f"| {s['first'].replace('|', ' ')} |"
        for s in after
    ]
    return lines


def filled(page: str, before: Sequence[Row], after: Sequence[Row]) -> str:
    """The page with its scores between the two marks.

    Raises ValueError if the page has no marks.
    """
    if page.count(START) != 1 or page.count(END) != 1:
        raise ValueError(f"page: needs the marks {START!r} and {END!r} once each")
    head, rest = page.split(START)
    tail = rest.split(END)[1]
    tables = (make(before, after) for make in (totals, by_room, by_case))
    text = "\n\n".join("\n".join(lines) for lines in tables)
    return f"{head}{START}\n\n{text}\n\n{END}{tail}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--page", type=Path, default=Path("docs/clinic.md"))
    args = parser.parse_args()
    before, after = (json.loads(path.read_text()) for path in (args.before, args.after))
    args.page.write_text(filled(args.page.read_text(encoding="utf-8"), before, after))


if __name__ == "__main__":
    main()
