"""Tables as plain text cells: pure functions of the results, for the page and for Markdown."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from glorot_jax.claims import Judgement
from glorot_jax.claims.predicates.errors import TABLE_1
from glorot_jax.report.figures.common import SET_NAMES, Row, of, rows, select
from glorot_jax.report.statistics import mean_interval
from glorot_jax.results import part

MAJORITY_ERROR = 83.3  # % on Shapeset-3x2 of always answering one of the likeliest classes
PAPER_SINGULAR_VALUE = {("tanh", "standard"): 0.5, ("tanh", "normalized"): 0.8}
STATUS_ORDER = ("fails", "holds", "not tested")
MISSING = "-"


class Table(NamedTuple):
    """One table: its ``header`` and ``rows`` of text cells, and a ``note`` to read it by.

    ``key`` is what claims call it by.
    """

    key: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def with_interval(mean: np.ndarray | float, half: np.ndarray | float, *, digits: int) -> str:
    """``mean ± half``, without the second where it isn't known; a dash for no number."""
    if not np.isfinite(mean):
        return MISSING
    known = f" ± {half:.{digits}f}" if np.isfinite(half) else ""
    return f"{mean:.{digits}f}{known}"


def table_1(results: xr.Dataset, name: str = "shapeset") -> Table | None:
    """Table 1's column of the data set ``name``, None if it wasn't trained on."""
    trained = part(results, name)
    if trained is None:
        return None
    paper = TABLE_1.get(name, {})
    found = [_table_1_row(trained, row, paper) for row in rows(trained)]
    if name == "shapeset":
        always = ("always one class", f"{MAJORITY_ERROR:.1f}", *[MISSING] * 4)
        found.append(always)
    seeds = trained.sizes["seed"]
    return Table(
        "table1" if name == "shapeset" else f"table1_{name}",
        f"Table 1: test error on {SET_NAMES.get(name, name)}",
        (
            "network",
            "test error, %",
            "paper, %",
            "learning rate",
            "validation error, %",
            "diverged",
        ),
        tuple(found),
        f"Mean over {seeds} seeds ± its 95% t interval, at the learning rate of least "
        "validation error. Diverged: networks of all learning rates and seeds that left the "
        "finite numbers. The paper's values are those of 5 layers of 1000 units after 5 million "
        "updates.",
    )


def _table_1_row(trained: xr.Dataset, row: Row, paper: Mapping[str, float]) -> tuple[str, ...]:
    test = mean_interval(100 * of(trained, "final_test_error", row), axis=0)
    rate = float(of(trained, "chosen_learning_rate", row))
    diverged = of(trained, "diverged_at", row)
    value = paper.get(row.label)
    return (
        row.label,
        with_interval(*test, digits=2),
        MISSING if value is None else f"{100 * value:.2f}",
        f"{rate:g}" if np.isfinite(rate) else MISSING,
        with_interval(_validation_error(trained, row, rate), np.nan, digits=2),
        f"{int(np.isfinite(diverged).sum())} of {diverged.size}",
    )


def _validation_error(trained: xr.Dataset, row: Row, rate: float) -> float:
    """Mean final validation error in % at the chosen learning rate, NaN if there is none."""
    if not np.isfinite(rate):
        return np.nan
    place = int(np.argmin(np.abs(np.asarray(trained["learning_rate"].values) - rate)))
    return 100 * float(of(trained, "selection_error", row)[place])


def singular_values(results: xr.Dataset) -> Table | None:
    """Eq. 17: mean singular value of the Jacobians by unit and initialiser."""
    initial = part(results, "initial")
    if initial is None:
        return None
    found = []
    for row in rows(initial):
        values = of(initial, "singular_value", row)
        per_seed = mean_interval(values.reshape(values.shape[0], -1), axis=-1).mean
        oracle = float(of(initial, "predicted_singular_value_mean", row))
        paper = PAPER_SINGULAR_VALUE.get((row.activation, row.initializer))
        found.append(
            (
                row.label,
                with_interval(*mean_interval(per_seed, axis=0), digits=3),
                with_interval(oracle, np.nan, digits=3),
                MISSING if paper is None else f"about {paper:.1f}",
            )
        )
    return Table(
        "eq17_table",
        "Eq. 17: mean singular value of the layer-to-layer Jacobians",
        ("network", "measured", "oracle", "paper"),
        tuple(found),
        "Mean over layers, examples and seeds ± its 95% t interval over seeds. The "
        "oracle is 8/(3 pi) sqrt(n Var[W]), for units of slope 1.",
    )


def variances(results: xr.Dataset) -> Table | None:
    """Measured mean squares over those of the linear regime, tanh, by layer (eqs. 5-7)."""
    initial = part(results, "initial")
    if initial is None:
        return None
    columns = []
    for initializer in ("standard", "normalized"):
        for row in select(initial, "tanh", initializer, known="activation_mean_square")[:1]:
            for name in ("activation", "backprop", "weight_gradient"):
                ratio = of(initial, f"{name}_mean_square", row) / of(
                    initial, f"predicted_{name}", row
                )
                columns.append((f"{row.label}: {_SIGNS[name]}", mean_interval(ratio, axis=0)))
    if not columns:
        return None
    count = initial.sizes["layer"]
    return Table(
        "variances_table",
        "Eqs. 5-7: measured variance over predicted, tanh",
        ("layer", *(title for title, _ in columns)),
        tuple(
            (str(i + 1), *(with_interval(c.mean[i], c.half[i], digits=3) for _, c in columns))
            for i in range(count)
        ),
        "1 is the linear regime. Mean over seeds ± its 95% t interval.",
    )


_SIGNS = {"activation": "z", "backprop": "∂C/∂s", "weight_gradient": "∂C/∂w"}


def in_order(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Judgements with the claims that fail first, then those that hold, then the untested."""
    return sorted(judgements, key=lambda judgement: STATUS_ORDER.index(judgement[1].status))


def claims(judgements: Sequence[Judgement]) -> Table:
    """What the paper says beside what was found, as ``in_order`` sorts it."""
    return Table(
        "claims",
        "Claims of the paper",
        ("status", "where", "the paper", "tested", "found", "figure"),
        tuple(
            (
                verdict.status,
                claim.where,
                claim.paper,
                claim.sentence,
                verdict.reason,
                claim.figure or MISSING,
            )
            for claim, verdict in in_order(judgements)
        ),
    )


def to_markdown(table: Table) -> str:
    """``table`` as GitHub Markdown, without its title."""
    lines = [table.header, tuple("---" for _ in table.header), *table.rows]
    text = "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)
    return f"{text}\n\n{table.note}\n" if table.note else f"{text}\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
