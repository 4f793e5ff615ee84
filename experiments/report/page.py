"""One HTML file that holds the whole report and opens from disk, on a phone as well."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from experiments.claims import (
    Judgement,
    Verdict,
    at_false_discovery_rate,
    counts,
    judge,
    judge_ours,
    q_values,
    to_json,
)
from experiments.data.registry import DATA_SETS
from experiments.exhibits import EXHIBITS
from experiments.report import facts, rerun, story, tables
from experiments.report.figures import (
    FIGURES,
    FigureFiles,
    available,
    caption,
    save_figures,
    seen_in,
)
from experiments.report.panel import panel
from experiments.report.scope import left_out, scale
from experiments.report.states import ORDER, STATES, counted
from experiments.report.summary import summary
from experiments.results import schema
from glorot_jax.files import write_text
from glorot_jax.templates import template

TITLE = "Understanding the difficulty of training deep feedforward neural networks, reproduced"
TEMPLATE = "page.html.j2"
INDEX = "index.html"
CLAIMS = "claims.json"
OUR_CLAIMS = "our_claims.json"  # there where a question of our own was asked
SUMMARY = "summary.md"
FIGURE_FOLDER = "figures"
MEDIA = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Origin:
    """Where a data set is from; ``stands_for`` is the paper's set that it replaces, or ""."""

    name: str
    text: str
    stands_for: str


@dataclass(frozen=True)
class ShownClaim:
    """A claim as the template shows it; ``numbers`` are (name, value), ``command`` makes it again.

    ``q`` is as ``q_values`` gives it, in words, "" where there is none.
    """

    judgement: Judgement
    q: str
    numbers: Sequence[tuple[str, str]]
    source: str
    command: str


@dataclass(frozen=True)
class Shown:
    """A figure or a table as the template shows it; ``claims`` are those that point to it.

    ``image`` is "" for a table, ``table`` None for a figure.
    """

    key: str
    title: str
    caption: str
    claims: Sequence[ShownClaim]
    image: str = ""
    seen: str = ""
    origins: Sequence[Origin] = ()
    table: tables.Table | None = None

    @property
    def short(self) -> str:
        """The title without what it is about."""
        return self.title.split(":")[0]

    @property
    def ours(self) -> bool:
        """Whether its claims are our own."""
        return any(one.judgement.claim.ours for one in self.claims)

    @property
    def states(self) -> list[tuple[str, int]]:
        """How many of its claims are in each state, without the empty ones."""
        count = counts(one.judgement for one in self.claims)
        return [(status, count[status]) for status in ORDER if count[status]]


def write_report(results: xr.DataTree, workdir: Path | str) -> Path:
    """Judges the claims and writes claims.json, summary.md, figures/ and index.html.

    What is ours and not the paper's goes to our_claims.json, if anything of it was measured.

    Returns the path of index.html.

    Raises:
      ResultsError: ``results`` lack what claims and figures need; nothing is written.
      OSError: the folder can't be written or the disk is full.
    """
    workdir = Path(workdir)
    schema.check(results, workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    judgements, ours = judge(results), judge_ours(results)
    write_text(workdir / CLAIMS, to_json(judgements))
    if ours:
        write_text(workdir / OUR_CLAIMS, to_json(ours))
    write_text(workdir / SUMMARY, summary(results, judgements, ours))
    folder = workdir / FIGURE_FOLDER
    save_figures(results, folder)
    return write_page(results, judgements, folder, workdir / INDEX, ours=ours)


def report_files(workdir: Path | str) -> list[Path]:
    """What ``write_report`` wrote there."""
    workdir = Path(workdir)
    named = (workdir / name for name in (CLAIMS, OUR_CLAIMS, SUMMARY, INDEX))
    return [each for each in (*named, *(workdir / FIGURE_FOLDER).glob("*")) if each.is_file()]


def write_page(
    results: xr.DataTree,
    judgements: Sequence[Judgement],
    figures: Path | str,
    path: Path | str,
    *,
    ours: Sequence[Judgement] = (),
) -> Path:
    """Writes the page, with the images found in the folder ``figures`` inside it, atomically.

    ``ours`` are judgements of claims of our own.
    """
    return write_text(path, render(results, judgements, Path(figures), ours=ours))


def render(
    results: xr.DataTree,
    judgements: Sequence[Judgement],
    figures: Path,
    *,
    ours: Sequence[Judgement] = (),
) -> str:
    """The page's HTML."""
    claims, our_claims = (
        [
            _shown_claim(results, judgement, q)
            for judgement, q in zip(judged, q_values(judged), strict=True)
        ]
        for judged in (judgements, ours)
    )
    shown = {one.key: one for one in _shown(results, [*claims, *our_claims], figures)}
    chapters = [(c, [shown[key] for key in inside]) for c, inside in story.in_chapters(shown)]
    return template(__package__, TEMPLATE).render(
        title=TITLE,
        config_name=facts.heading(results),
        changed=facts.changed(results),
        smoke=facts.is_smoke(results),
        verdict=story.verdict(results, judgements),
        our_verdict=story.our_verdict(results, ours),
        badges=story.badges(results),
        provenance=facts.provenance(results),
        states=STATES,
        counts=list(_counts(judgements).items()),
        our_counts=[(status, count) for status, count in _counts(ours).items() if count],
        counted=counted,
        chapters=chapters,
        links={one.key: one.short for one in shown.values()},
        false_discoveries=at_false_discovery_rate(judgements),
        claims=sorted(claims, key=lambda one: ORDER.index(one.judgement.verdict.status)),
        our_claims=our_claims,
        panel=panel(),
        origins=_origins(results),
        left_out=left_out(results),
        scale=scale(results),
        config=facts.pretty_config(results),
        versions=facts.versions(results),
    )


def _counts(judgements: Sequence[Judgement]) -> dict[str, int]:
    count = counts(judgements)
    return {status: count[status] for status in ORDER}


def _shown_claim(results: xr.DataTree, judgement: Judgement, q: float | None) -> ShownClaim:
    claim = judgement.claim
    return ShownClaim(
        judgement,
        "" if q is None else tables.probability(q),
        _numbers(judgement.verdict),
        rerun.source(claim),
        rerun.command(results, claim),
    )


def _numbers(verdict: Verdict) -> list[tuple[str, str]]:
    """The numbers of a verdict as text, those inside others by both names."""
    return list(_flat(verdict.numbers))


def _flat(numbers: Mapping[str, object], above: str = "") -> Iterable[tuple[str, str]]:
    for name, value in numbers.items():
        if isinstance(value, Mapping) and {"mean", "low", "high"} <= set(value):
            low, high = _plain(value["low"]), _plain(value["high"])
            seeds = f", {value['n']} seeds" if "n" in value else ""
            yield above + name, f"{_plain(value['mean'])} ({low} to {high}{seeds})"
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}: ")
        elif value is not None:
            yield above + name, _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_plain(entry) for entry in value)
    if isinstance(value, float):
        return f"{value:.3g}"
    return "-" if value is None else str(value)


def _shown(results: xr.DataTree, claims: Sequence[ShownClaim], folder: Path) -> list[Shown]:
    """Every figure that has a file in ``folder``, then every table, each with its claims."""

    def of(key: str) -> list[ShownClaim]:
        return [one for one in claims if one.judgement.claim.figure == key]

    figures = [
        Shown(
            key,
            EXHIBITS[key].title,
            caption(results, key),
            of(key),
            image=data_uri(files),
            seen=seen_in(files.svg) or EXHIBITS[key].title,
            origins=_stand_ins(results, key),
        )
        for key in available(results)
        if (files := FigureFiles(folder / f"{key}.png", folder / f"{key}.svg")).png.is_file()
    ]
    made = [Shown(t.key, t.title, t.note, of(t.key), table=t) for t in tables.every(results)]
    return figures + made


def _stand_ins(results: xr.DataTree, key: str) -> list[Origin]:
    """The sets of a figure that stand for another."""
    origins = _origins(results, FIGURES[key].sets(results))
    return [origin for origin in origins if origin.stands_for]


def data_uri(files: FigureFiles) -> str:
    """A figure as a ``data:`` address, of the file that follows a dark page where it is there."""
    path = files.svg if files.svg.is_file() else files.png
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:{MEDIA[path.suffix]};base64,{content}"


def _origins(results: xr.DataTree, names: Iterable[str] = DATA_SETS) -> list[Origin]:
    """The origin of each set that was trained on, as far as the results say it."""
    return [
        Origin(DATA_SETS[name].title, str(results[name].attrs["origin"]), _stands_for(name))
        for name in names
        if name in results.children and results[name].attrs.get("origin")
    ]


def _stands_for(name: str) -> str:
    wanted = DATA_SETS[name].stands_in_for
    return DATA_SETS[wanted].title if wanted else ""
