"""One HTML file that holds the whole report and opens from disk, on a phone as well."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
import xarray as xr

from glorot_jax.claims import Judgement, counts, judge, to_json
from glorot_jax.files import write_text
from glorot_jax.report import tables
from glorot_jax.report.figures import FIGURES, FigureFiles, available, save_figures
from glorot_jax.report.figures.common import SET_NAMES, needed
from glorot_jax.report.summary import summary
from glorot_jax.report.tables import Table
from glorot_jax.results import part_names

TITLE = "Understanding the difficulty of training deep feedforward neural networks, reproduced"
TEMPLATE = "page.html.j2"
INDEX = "index.html"
CLAIMS = "claims.json"
SUMMARY = "summary.md"
FIGURE_FOLDER = "figures"
MEDIA = {".png": "image/png", ".svg": "image/svg+xml"}
TRAINED = ("shapeset", "mnist", "digits")
STAND_INS = {"digits": "MNIST"}  # a set that is trained on where the paper's isn't to be had

# What the paper shows, and the part that would show it; None where none does yet.
WHOLE_PAPER = (
    ("Fig. 1", "examples"),
    ("Fig. 5", "surface"),
    ("Figs. 6 to 8 and eq. 17", "initial"),
    ("Figs. 2 to 4, 9 to 11 and Table 1 on Shapeset-3x2", "shapeset"),
    ("Fig. 12 and Table 1 on MNIST", "mnist"),
    ("Fig. 12 and Table 1 on CIFAR-10", None),
    ("Small-ImageNet in Fig. 1 and Table 1", None),
    ("Fig. 11: fine-tuning after denoising-autoencoder pre-training", None),
    ("the RBF SVM baseline on 100 000 Shapeset examples", None),
    ("section 5: learning rates from the curvature or the variance of gradients", None),
    ("section 5: layers that grow or shrink with depth", None),
)
PAPER_SCALE = "the paper: 5 layers of 1000 units, 5 000 000 updates of 10 examples"


class Origin(NamedTuple):
    """Where a data set is from; ``stands_for`` is the paper's set that it replaces, or ""."""

    name: str
    text: str
    stands_for: str


class ShownFigure(NamedTuple):
    """A figure as the template shows it; ``claims`` are those that point to it."""

    key: str
    title: str
    caption: str
    image: str
    claims: Sequence[Judgement]
    origins: Sequence[Origin]


def write_report(results: xr.Dataset, workdir: Path | str) -> Path:
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
    results: xr.Dataset,
    judgements: Sequence[Judgement],
    figures: Path | str,
    path: Path | str,
) -> Path:
    """Writes the page, with the images found in the folder ``figures`` inside it, atomically."""
    return write_text(path, render(results, judgements, Path(figures)))


def render(results: xr.Dataset, judgements: Sequence[Judgement], figures: Path) -> str:
    """The page's HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("glorot_jax", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = _shown_figures(results, judgements, figures)
    made = _tables(results)
    titles = [(f.key, f.title) for f in shown] + [(t.key, t.title) for t in made]
    return environment.get_template(TEMPLATE).render(
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
    results: xr.Dataset, judgements: Sequence[Judgement], folder: Path
) -> list[ShownFigure]:
    keys = [key for key in available(results) if (folder / f"{key}.png").is_file()]
    return [
        ShownFigure(
            key,
            FIGURES[key].title,
            FIGURES[key].caption,
            data_uri(FigureFiles(folder / f"{key}.png", folder / f"{key}.svg")),
            [judgement for judgement in judgements if judgement.claim.figure == key],
            _origins(results, FIGURES[key].parts) if key in ("fig11", "fig12") else [],
        )
        for key in keys
    ]


def data_uri(files: FigureFiles) -> str:
    """The smaller of a figure's two files as a ``data:`` address."""
    smaller = min((path for path in files if path.is_file()), key=lambda path: path.stat().st_size)
    content = base64.b64encode(smaller.read_bytes()).decode("ascii")
    return f"data:{MEDIA[smaller.suffix]};base64,{content}"


def _tables(results: xr.Dataset) -> list[Table]:
    """Every table that has data, Table 1 first."""
    made = [tables.table_1(results, name) for name in TRAINED]
    made += [tables.singular_values(results), tables.variances(results)]
    return [table for table in made if table is not None]


def _origins(results: xr.Dataset, names: Sequence[str] = TRAINED) -> list[Origin]:
    """The origin of each set that was trained on, as far as the results say it."""
    return [
        Origin(SET_NAMES[name], str(results.attrs[f"{name}_origin"]), STAND_INS.get(name, ""))
        for name in names
        if name in part_names(results) and results.attrs.get(f"{name}_origin")
    ]


def left_out(results: xr.Dataset) -> list[str]:
    """What the paper shows and these results don't."""
    names = part_names(results)
    return [what for what, name in WHOLE_PAPER if name not in names]


def scale(results: xr.Dataset) -> list[str]:
    """How long and how wide each data set was trained on, beside the paper's numbers."""
    return [
        _scale_of(name, needed(results, name)) for name in part_names(results) if name in TRAINED
    ]


def _scale_of(name: str, trained: xr.Dataset) -> str:
    updates = f"{int(trained['update'].values[-1]):,}".replace(",", " ")
    return (
        f"{SET_NAMES.get(name, name)}: up to {trained.sizes['layer']} layers of "
        f"{trained.attrs.get('width', '?')} units, "
        f"{updates} updates of {trained.attrs.get('batch_size', '?')} examples, "
        f"{trained.sizes['learning_rate']} learning rates, {trained.sizes['seed']} seeds "
        f"({PAPER_SCALE})"
    )


def provenance(results: xr.Dataset) -> list[tuple[str, str]]:
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


def _versions(results: xr.Dataset) -> dict[str, str]:
    """The versions in the attributes; nothing where they are missing or can't be read."""
    try:
        found = json.loads(results.attrs.get("versions", "{}"))
    except (TypeError, ValueError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _pretty(config: object) -> str:
    """The config as indented JSON; as it stands where it isn't JSON; "" where it is missing."""
    if not config:
        return ""
    try:
        return json.dumps(json.loads(str(config)), indent=1, ensure_ascii=False)
    except ValueError:
        return str(config)
