"""The paper's argument in order, and what a run says of it in three sentences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from experiments.claims import Judgement, counts
from experiments.claims.paper import PAPER_UPDATES, PAPER_WIDTH, TABLE_1
from experiments.data.registry import DATA_SETS
from experiments.networks import NetworkSpec
from experiments.report import facts
from experiments.report.figures.errors import courses
from experiments.report.figures.initial import GROUP, tanh_pair
from experiments.report.states import ORDER, counted
from experiments.results.queries import first_set, needed, of, select
from experiments.results.schema import find_group
from experiments.studies import STUDIES
from glorot_jax.confidence import mean_interval

NO_MEANING = "A smoke run: it proves only that everything runs, and its numbers mean nothing."


@dataclass(frozen=True)
class Chapter:
    """A step of the argument; ``shown``: keys of its figures and tables, in order."""

    key: str
    title: str
    text: str
    shown: tuple[str, ...]


CHAPTERS = (
    Chapter(
        "shrink",
        "1. Signals shrink to a third a layer",
        "The usual initialisation, uniform weights with n Var[W] = 1/3, passes on a third of the "
        "variance from layer to layer: of the activations on their way up (eq. 5), of the "
        "back-propagated gradients on their way down (eq. 6).",
        ("fig06", "fig07"),
    ),
    Chapter(
        "level",
        "2. Level when normalized",
        "Weights with n Var[W] = 1, the mean of what both directions ask for (eqs. 12 and 16), "
        "keep activations and gradients about level. The gradients of the weights are level with "
        "either (eq. 14), so they don't tell.",
        ("variances", "variances_table", "eq17", "eq17_table", "fig08", "phase"),
    ),
    Chapter(
        "saturation",
        "3. Saturation while training",
        "Sigmoids push the top layer into saturation at once. Tanh with the usual initialisation "
        "saturates layer after layer, the lowest first; softsign's layers, and tanh's with the "
        "normalized initialisation, move together.",
        ("fig02", "fig03", "fig04", "fig10"),
    ),
    Chapter(
        "error",
        "4. What it costs: test error",
        "The networks whose signals stay level learn faster and end lower.",
        ("fig11", "table1", "table1_p", "table1_shapeset"),
    ),
)
QUESTION = Chapter(
    "question",
    "5. A question of our own",
    "Not the paper's: why some tanh nets stay on Shapeset's plateau for thousands of updates, "
    "whether that still matters with Adam, and why layer 1 saturates first. What we expected is "
    "judged by the same rule, beside the paper's claims and never among them.",
    ("plateau", "adam", "first_layer", "plateau_table", "adam_table", "first_layer_table"),
)
REST = Chapter(
    "rest",
    "The rest of the paper, and beyond it",
    "Data, costs, gradients during training, the other sets, pre-training, the choice of depth and "
    "rate, section 5, and what the paper doesn't have.",
    (),
)


def in_chapters(keys: Iterable[str]) -> list[tuple[Chapter, list[str]]]:
    """``keys`` of what there is to show, by chapter; chapters without anything are left out."""
    there = list(keys)
    chapters = (*CHAPTERS, QUESTION)
    told = {key for chapter in chapters for key in chapter.shown}
    shown = [(chapter, [key for key in chapter.shown if key in there]) for chapter in chapters]
    rest = (REST, [key for key in there if key not in told])
    return [(chapter, inside) for chapter, inside in [*shown, rest] if inside]


def verdict(results: xr.DataTree, judgements: Sequence[Judgement]) -> list[str]:
    """What the run says: of signals before training, of errors after it, of the claims."""
    if facts.is_smoke(results):
        return [NO_MEANING]
    said = [_signals(results), _errors(results), _claims(judgements)]
    return [sentence for sentence in said if sentence]


def our_verdict(results: xr.DataTree, ours: Sequence[Judgement]) -> str:
    """How many claims of our own are in each state, "" where there are none to tell of."""
    if not ours or facts.is_smoke(results):
        return ""
    return f"Of {len(ours)} claims of our own, which aren't the paper's, {_by_state(ours)}."


def badges(results: xr.DataTree) -> list[str]:
    """The scale of the run beside the paper's, each a few words."""
    name = first_set(results, courses) or _first_study(results)
    if name is None:
        return ["nothing trained: before training only"]
    trained = needed(results, name)
    updates, width = int(trained["update"].values[-1]), int(trained.attrs.get("width", 0))
    ratio = PAPER_UPDATES / updates if updates else 0
    length = f"1/{_digits(ratio)} of the paper's training" if ratio > 1 else "the paper's training"
    seeds = f"{trained.sizes['seed']} seeds"
    return [length, *([f"width {width} of {PAPER_WIDTH}"] if width else []), seeds]


def _first_study(results: xr.DataTree) -> str | None:
    return next((name for name in STUDIES if courses(find_group(results, name))), None)


def _digits(value: float) -> str:
    """250, 12.5 or 1.67: three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _signals(results: xr.DataTree) -> str:
    """What a layer passes on of either variance, tanh with both initialisations."""
    initial = find_group(results, GROUP)
    pair = tanh_pair(initial, "backprop_mean_square")
    if initial is None or len(pair) < 2 or initial.sizes["layer"] < 2:
        return ""
    up, down = (
        [_kept(initial, f"{name}_mean_square", spec, downwards=name == "backprop") for spec in pair]
        for name in ("activation", "backprop")
    )
    return (
        f"Before training, a layer of tanh units with the standard initialisation passes on "
        f"{up[0]:.2f} of the variance of its activations and {down[0]:.2f} of that of its "
        f"gradients (the paper: a third); with the normalized one {up[1]:.2f} and {down[1]:.2f}."
    )


def _kept(initial: xr.Dataset, name: str, spec: NetworkSpec, *, downwards: bool) -> float:
    """Factor of a mean square from one layer to the next, its geometric mean."""
    logs = np.log(mean_interval(of(initial, name, spec), axis=0).mean)
    steps = np.diff(logs[np.isfinite(logs)])
    return float(np.exp(np.mean(-steps if downwards else steps)))


def _errors(results: xr.DataTree) -> str:
    """Final test errors of tanh with both initialisations, beside the paper's."""
    name = first_set(results, courses)
    if name is None:
        return ""
    trained = needed(results, name)
    known = "final_test_error"
    pairs = [select(trained, "tanh", scheme, known=known) for scheme in ("standard", "normalized")]
    specs = [found[0] for found in pairs if found]
    updates = f"{int(trained['update'].values[-1]):,}".replace(",", "\N{NO-BREAK SPACE}")
    measured = [
        f"{spec.name} {100 * float(mean_interval(of(trained, known, spec), axis=0).mean):.1f}%"
        for spec in specs
    ]
    paper = [TABLE_1.get(name, {}).get(spec.name) for spec in specs]
    theirs = " and ".join(f"{100 * error:.2f}%" for error in paper if error is not None)
    ends = f"; the paper's end at {theirs}" if theirs else ""
    if not measured:
        return ""
    return (
        f"After {updates} updates on {DATA_SETS[name].title}, test error is "
        f"{' and '.join(measured)}{ends}."
    )


def _claims(judgements: Sequence[Judgement]) -> str:
    """How many of the paper's claims are in each state."""
    if not judgements:
        return ""
    return f"Of the paper's {len(judgements)} claims, {_by_state(judgements)} at this scale."


def _by_state(judgements: Sequence[Judgement]) -> str:
    count = counts(judgements)
    return _listed([counted(status, count[status]) for status in ORDER if count[status]])


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
