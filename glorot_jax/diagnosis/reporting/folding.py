"""Rows of alike layers as one: ``blocks_0..11/query`` for twelve."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

LEAST = 3  # rows that are worth folding
_PLACES = 3  # numbers of a name that are tried, from the left
_HOLE = "\0"


@dataclass(frozen=True)
class Folded:
    """One line of a table: ``members`` are the rows it stands for, in their order."""

    name: str
    members: tuple[int, ...]


def unfolded(names: Sequence[str], order: Sequence[int]) -> list[Folded]:
    """A line for every row, in ``order``."""
    return [Folded(names[row], (row,)) for row in order]


def folded(names: Sequence[str], kinds: Sequence[Hashable]) -> list[Folded]:
    """Rows whose names differ in one number, and whose ``kinds`` are the same, as one line.

    Rows in a line follow each other among those of their name: where a ``kind`` says that one of
    twelve is marked, those before it and those after it stand by themselves.
    """
    left = dict.fromkeys(range(len(names)))
    lines: list[Folded] = []
    for place in range(_PLACES):
        for pattern, run in _runs([(row, *_hole(names[row], place)) for row in left], kinds):
            if len(run) >= LEAST:
                numbers = [number for _, number in run]
                name = pattern.replace(_HOLE, f"{numbers[0]}..{numbers[-1]}")
                lines.append(Folded(f"{name} x{len(run)}", tuple(row for row, _ in run)))
                for row, _ in run:
                    del left[row]
    lines += unfolded(names, list(left))
    return sorted(lines, key=lambda line: line.members)


def _hole(name: str, place: int) -> tuple[str, str]:
    """``name`` without its number at ``place``, wherever the same part stands, and the number."""
    numbers = list(re.finditer(r"\d+", name))
    if place >= len(numbers):
        return name, ""
    found = numbers[place]
    stem = re.split(r"[/+]", name[: found.start()])[-1]
    part = rf"(?<![^/+]){re.escape(stem + found.group())}(?!\d)"
    return re.sub(part, stem.replace("\\", r"\\") + _HOLE, name), found.group()


def _runs(
    rows: Sequence[tuple[int, str, str]], kinds: Sequence[Hashable]
) -> list[tuple[str, list[tuple[int, str]]]]:
    """Rows of one pattern, apart wherever their kind changes."""
    by_pattern: dict[str, list[tuple[int, str]]] = {}
    for row, pattern, number in rows:
        if _HOLE in pattern:
            by_pattern.setdefault(pattern, []).append((row, number))
    runs: list[tuple[str, list[tuple[int, str]]]] = []
    for pattern, members in by_pattern.items():
        last: Hashable = None
        for row, number in members:
            if not runs or runs[-1][0] != pattern or kinds[row] != last:
                runs.append((pattern, []))
            runs[-1][1].append((row, number))
            last = kinds[row]
    return runs
