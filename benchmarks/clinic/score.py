"""Score ``glorot_jax.diagnose`` on models whose state of health is known.

    python -m benchmarks.clinic.score [--spectra] [--only NAME ...] [--json FILE]

Of a sick case: ``named first`` if one of its words is in the first finding, ``named, not first``
if only in a later one, ``wrong`` if in none, ``missed`` without a finding, ``crash``. Of a healthy
one: ``quiet`` without a finding, ``warned``, ``severe``, ``crash``. Notes are no findings. A "!"
behind the first finding: the word is in its remedy alone. An "@": it names the parameter at fault.

Ends with status 1 where a case crashes or a healthy one has a severe finding.
"""

import argparse
import collections
import dataclasses
import json
import statistics
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import glorot_jax as gj
from benchmarks.clinic.cases import all_cases, chosen_cases
from benchmarks.clinic.kit import Case

SICK_VERDICTS = ("named first", "named, not first", "wrong", "missed", "crash")
HEALTHY_VERDICTS = ("quiet", "warned", "severe", "crash")


@dataclasses.dataclass(frozen=True)
class Score:
    """How one case went; ``strict``: named first by kind or text, ``placed``: at the parameter."""

    name: str
    room: str
    truth: str
    verdict: str
    seconds: float
    strict: bool
    placed: bool
    severe: bool
    first: str


def named(words: Sequence[str], *texts: str) -> bool:
    """Whether one of the words is in one of the texts, whatever their case."""
    text = " ".join(texts).lower()
    return any(word.lower() in text for word in words)


def verdict(case: Case, findings: Sequence[Any]) -> str:
    """The verdict on findings without notes."""
    if case.healthy:
        if any(finding.severity == "severe" for finding in findings):
            return "severe"
        return "warned" if findings else "quiet"
    if not findings:
        return "missed"
    hits = [named(case.words, f.kind, f.text, f.cure) for f in findings]
    return "named first" if hits[0] else "named, not first" if any(hits) else "wrong"


def scored(case: Case, findings: Sequence[Any], seconds: float) -> Score:
    """The score of a report's findings; notes count as none."""
    findings = [finding for finding in findings if finding.severity != "note"]
    result = verdict(case, findings)
    strict = placed = False
    text = ""
    if findings:
        first = findings[0]
        strict = result == "named first" and named(case.words, first.kind, first.text)
        placed = bool(case.site) and any(case.site in str(site) for site in first.sites)
        text = f"{first.severity}: {first.kind}"
        text += "!" if result == "named first" and not strict else ""
        text += "@" if placed else ""
        text += f" (+{len(findings) - 1})" if len(findings) > 1 else ""
    severe = any(finding.severity == "severe" for finding in findings)
    return Score(case.name, case.room, case.truth, result, seconds, strict, placed, severe, text)


def examine(case: Case, spectra: bool = False) -> Score:
    """Build a case, diagnose it and print its report to nowhere; a crash is a result."""
    start = time.process_time()
    try:
        model = case.build()
        start = time.process_time()
        seeds = {} if model.seeds is None else {"seeds": model.seeds}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = gj.diagnose(
                model.apply_fn,
                model.params,
                model.x,
                model.y,
                loss=model.loss,
                spectra=spectra,
                **seeds,
            )
            str(report)
        return scored(case, report.findings, time.process_time() - start)
    except Exception as error:
        seconds = time.process_time() - start
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
        return Score(case.name, case.room, case.truth, "crash", seconds, False, False, False, text)


def broken(score: Score) -> bool:
    """Whether it is what no user may see."""
    return score.verdict in ("crash", "severe")


def table(scores: Sequence[Score]) -> str:
    """Verdicts by file of cases: what is confused with what."""
    lines = []
    for title, verdicts, sick in (
        ("sick", SICK_VERDICTS, True),
        ("healthy", HEALTHY_VERDICTS, False),
    ):
        chosen = [score for score in scores if (score.truth != "healthy") == sick]
        counts = collections.Counter((score.room, score.verdict) for score in chosen)
        lines.append(f"{title:14s}" + "".join(f"{verdict:>18s}" for verdict in verdicts))
        for room in sorted({score.room for score in chosen}):
            cells = (counts[room, verdict] for verdict in verdicts)
            lines.append(f"  {room:12s}" + "".join(f"{count or '.':>18}" for count in cells))
        lines.append("")
    return "\n".join(lines)


def totals(scores: Sequence[Score], sited: int) -> str:
    """What the verdicts come to, and a last line for programs.

    ``sited``: of how many sick cases a parameter at fault is known.
    """
    sick = [score for score in scores if score.truth != "healthy"]
    healthy = [score for score in scores if score.truth == "healthy"]
    count = collections.Counter(score.verdict for score in sick)
    first, anywhere = count["named first"], count["named first"] + count["named, not first"]
    strict = sum(score.strict for score in sick)
    placed = sum(score.placed and score.verdict == "named first" for score in sick)
    quiet = sum(score.verdict == "quiet" for score in healthy)
    no_severe = sum(score.verdict in ("quiet", "warned") for score in healthy)
    crash = sum(score.verdict == "crash" for score in scores)
    seconds = [score.seconds for score in scores] or [0.0]
    return "\n".join(
        (
            f"sick: of {len(sick)}, {first} have their cause named first, {anywhere} at all",
            f"  {strict} by kind or text and not by the remedy alone;"
            f" {placed} of {sited} at the parameter at fault;"
            f" {sum(score.severe for score in sick)} with a severe finding",
            f"healthy: of {len(healthy)}, {no_severe} without a severe finding,"
            f" {quiet} without any",
            f"crashes: {crash}; CPU seconds a case: median {statistics.median(seconds):.1f},"
            f" largest {max(seconds):.1f}, sum {sum(seconds):.0f}",
            f"SCORE sick={len(sick)} first={first} anywhere={anywhere} healthy={len(healthy)}"
            f" quiet={quiet} no_severe={no_severe} crash={crash} cpu={sum(seconds):.1f}"
            f" strict={strict}",
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these cases alone")
    parser.add_argument("--spectra", action="store_true", help="measure the spectra too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores there too")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    args = parser.parse_args()
    if args.list:
        for case in all_cases():
            print(f"{case.room:12s} {case.name:28s} {case.truth:26s} {case.source}")
        return
    try:
        cases = chosen_cases(args.only)
    except ValueError as error:
        parser.error(str(error))
    scores = []
    for case in cases:
        score = examine(case, args.spectra)
        scores.append(score)
        print(
            f"{score.name:28s} {score.truth:26.26s} {score.verdict:17s} {score.seconds:5.1f}s"
            f"  {score.first}",
            flush=True,
        )
    print(f"\n{table(scores)}")
    print(totals(scores, sum(bool(case.site) for case in cases if not case.healthy)))
    if args.json:
        args.json.write_text(json.dumps([dataclasses.asdict(score) for score in scores], indent=1))
    if any(broken(score) for score in scores):
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # a program reads the last line whatever happens
        traceback.print_exc()
        print(f"SCORE failed={type(error).__name__}")
        sys.exit(1)
