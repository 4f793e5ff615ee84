"""One HTML file that holds the whole report and opens from disk, on a phone as well."""

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from experiments.claims import Judgement, counts, judge, to_json
from experiments.data.registry import DATA_SETS
from experiments.exhibits import EXHIBITS
from experiments.report import tables
from experiments.report.figures import FIGURES, FigureFiles, available, caption, save_figures
from experiments.report.scope import left_out, scale
from experiments.report.summary import summary
from glorot_jax.files import write_text
from glorot_jax.templates import template

TITLE = "Understanding the difficulty of training deep feedforward neural networks, reproduced"
TEMPLATE = "page.html.j2"
INDEX = "index.html"
CLAIMS = "claims.json"
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
class ShownFigure:
    """A figure as the template shows it; ``claims`` are those that point to it."""

    key: str
    title: str
    caption: str
    image: str
    claims: Sequence[Judgement]
    origins: Sequence[Origin]


def write_report(results: xr.DataTree, workdir: Path | str) -> Path:
    """Judges the claims and writes claims.json, summary.md, figures/ and index.html.

    Returns the path of index.html.

    Raises:
      OSError: the folder can't be written or the disk is full.
    """
    workdir = Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    judgements = judge(results)
    write_text(workdir / CLAIMS, to_json(judgements))
    write_text(workdir / SUMMARY, summary(results, judgements))
    folder = workdir / FIGURE_FOLDER
    save_figures(results, folder)
    return write_page(results, judgements, folder, workdir / INDEX)


def write_page(
    results: xr.DataTree,
    judgements: Sequence[Judgement],
    figures: Path | str,
    path: Path | str,
) -> Path:
    """Writes the page, with the images found in the folder ``figures`` inside it, atomically."""
    return write_text(path, render(results, judgements, Path(figures)))


def render(results: xr.DataTree, judgements: Sequence[Judgement], figures: Path) -> str:
    """The page's HTML."""
    shown = _shown_figures(results, judgements, figures)
    made = tables.every(results)
    titles = [(f.key, f.title) for f in shown] + [(t.key, t.title) for t in made]
    return template(__package__, TEMPLATE).render(
        title=TITLE,
        provenance=provenance(results),
        counts=counts(judgements),
        groups=[
            (status, [one for one in judgements if one.verdict.status == status])
            for status in tables.STATUS_ORDER
        ],
        links={key: title.split(":")[0] for key, title in titles},
        tables=made,
        figures=shown,
        origins=_origins(results),
        left_out=left_out(results),
        scale=scale(results),
        config=_pretty(results.attrs.get("config")),
        versions=_versions(results),
    )


def _shown_figures(
    results: xr.DataTree, judgements: Sequence[Judgement], folder: Path
) -> list[ShownFigure]:
    keys = [key for key in available(results) if (folder / f"{key}.png").is_file()]
    return [
        ShownFigure(
            key,
            EXHIBITS[key].title,
            caption(results, key),
            data_uri(FigureFiles(folder / f"{key}.png", folder / f"{key}.svg")),
            [judgement for judgement in judgements if judgement.claim.figure == key],
            _stand_ins(results, key),
        )
        for key in keys
    ]


def _stand_ins(results: xr.DataTree, key: str) -> list[Origin]:
    """The sets of a figure that stand for another."""
    origins = _origins(results, FIGURES[key].sets(results))
    return [origin for origin in origins if origin.stands_for]


def data_uri(files: FigureFiles) -> str:
    """The smaller of a figure's two files as a ``data:`` address."""
    written = (path for path in (files.png, files.svg) if path.is_file())
    smaller = min(written, key=lambda path: path.stat().st_size)
    content = base64.b64encode(smaller.read_bytes()).decode("ascii")
    return f"data:{MEDIA[smaller.suffix]};base64,{content}"


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


def provenance(results: xr.DataTree) -> list[tuple[str, str]]:
    """What is known of how the results were made, as (name, value) in a fixed order."""
    attrs = results.attrs
    versions = _versions(results)
    short = ", ".join(f"{name} {versions[name]}" for name in ("jax", "flax") if name in versions)
    seconds = attrs.get("wall_time_s")
    entries = [
        ("preset", attrs.get("preset")),
        ("finished", attrs.get("finished")),
        ("device", attrs.get("device")),
        ("wall time", None if seconds is None else _duration(float(seconds))),
        ("revision", str(attrs.get("git_revision") or "")[:12]),
        ("versions", short),
    ]
    return [(name, str(value)) for name, value in entries if value]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _versions(results: xr.DataTree) -> dict[str, str]:
    """The versions in the attributes; nothing where they are missing or can't be read."""
    try:
        versions = json.loads(results.attrs.get("versions", "{}"))
    except (TypeError, ValueError):
        return {}
    known = versions.items() if isinstance(versions, dict) else ()
    return {str(package): str(version) for package, version in known}


def _pretty(config: object) -> str:
    """The config as indented JSON; as it stands where it isn't JSON; "" where it is missing."""
    if not config:
        return ""
    try:
        return json.dumps(json.loads(str(config)), indent=1, ensure_ascii=False)
    except ValueError:
        return str(config)
