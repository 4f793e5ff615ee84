"""Table 1 as one table, the tests behind its bold, and each data set's networks in full."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from experiments.claims.paper import PAPER_P, TABLE_1
from experiments.claims.significance import (
    TABLE_NETS,
    Comparison,
    against_best,
    any_differs,
    column,
    seeds_to_differ,
)
from experiments.claims.verdict import FEWEST_SEEDS
from experiments.data.registry import DATA_SETS
from experiments.exhibits import EXHIBITS
from experiments.networks import NetworkSpec, read
from experiments.report.tables.table import MISSING, Table, number, probability, with_interval
from experiments.results.queries import chosen_rate, final_percent, network, of
from experiments.results.schema import find_group
from experiments.studies import STUDIES

MAJORITY_ERROR = 83.3  # % on Shapeset-3x2 of always answering one of the likeliest classes


def _columns(results: xr.DataTree) -> dict[str, xr.Dataset]:
    groups = ((name, find_group(results, name)) for name in DATA_SETS)
    return {name: trained for name, trained in groups if trained is not None}


def _percent(trained: xr.Dataset, spec: NetworkSpec) -> str:
    """Final test error in %, mean and interval."""
    return with_interval(*final_percent(network(trained, spec)), digits=2)


def _compared(trained: xr.Dataset) -> Mapping[str, Comparison]:
    """The table's own five networks against the best of them; nothing where seeds are too few."""
    errors = column(trained)
    return against_best(errors) if trained.sizes["seed"] >= FEWEST_SEEDS and errors else {}


def table_1(results: xr.DataTree) -> Table | None:
    """Table 1: the paper's five networks, then every other, by data set; None without any set."""
    sets = _columns(results)
    if not sets:
        return None
    by_name = {name: {spec.name: spec for spec in read(trained)} for name, trained in sets.items()}
    others = [label for specs in by_name.values() for label in specs if label not in TABLE_NETS]
    labels = list(dict.fromkeys([*TABLE_NETS, *others]))

    def cell(name: str, label: str) -> str:
        spec = by_name[name].get(label)
        measured = MISSING if spec is None else _percent(sets[name], spec)
        paper = TABLE_1.get(name, {}).get(label)
        return measured if paper is None else f"{measured} ({100 * paper:.2f})"

    compared = {name: _compared(trained) for name, trained in sets.items()}
    telling = {name for name, entries in compared.items() if any_differs(entries)}
    return Table(
        "table1",
        "Table 1: test error in %",
        ("network", *(DATA_SETS[name].title for name in sets)),
        tuple((label, *(cell(name, label) for name in sets)) for label in labels),
        "Mean over seeds ± its 95% t interval, with the sampling of the test set in it. In "
        "brackets the paper's value, of 5 layers of 1000 units after 5 million updates. Bold: not "
        f"shown to differ from the best of the paper's five networks in its column at p = "
        f"{PAPER_P}; other networks, below the five, aren't compared."
        + "".join(_why_no_bold(name, sets[name]) for name in sets if name not in telling),
        frozenset(
            (i, j)
            for i, label in enumerate(labels)
            for j, name in enumerate(sets, start=1)
            if name in telling and label in compared[name] and compared[name][label].bold
        ),
    )


def _why_no_bold(name: str, trained: xr.Dataset) -> str:
    """One sentence on a column in which no entry is shown to differ from another."""
    errors, seeds = column(trained), trained.sizes["seed"]
    needed = seeds_to_differ(errors) if seeds >= FEWEST_SEEDS else None
    more = "" if needed is None else f"; for the largest difference seen about {needed} would"
    return f" No bold on {DATA_SETS[name].title}: {seeds} seeds show no difference there{more}."


def table_1_p(results: xr.DataTree) -> Table | None:
    """The p-values behind the bold of Table 1; None where nothing can be compared."""
    columns = {name: _compared(trained) for name, trained in _columns(results).items()}
    compared = {name: column for name, column in columns.items() if len(column) > 1}
    if not compared:
        return None
    return Table(
        "table1_p",
        "Table 1: p against the best of the column",
        ("network", *(DATA_SETS[name].title for name in compared)),
        tuple(
            (label, *(_p(column.get(label)) for column in compared.values()))
            for label in TABLE_NETS
        ),
        "Two-sided t-tests paired by seed, because the networks of one seed see the same examples "
        "in the same order and share the test set, so that what a seed does to all of them drops "
        "out of the difference; corrected by Holm's method for the comparisons of one column. The "
        "paper names no test, only p = 0.005. Few seeds show little: a single comparison of 3 "
        "seeds needs abs(t) > 14.1, of 5 seeds 5.6.",
    )


def _p(comparison: Comparison | None) -> str:
    if comparison is None:
        return MISSING
    if comparison.best:
        return "best"
    return probability(comparison.p)


def of_group(results: xr.DataTree, name: str) -> Table | None:
    """Every network of a data set's group or a study's, None if the results don't hold it."""
    trained = find_group(results, name)
    if trained is None:
        return None
    rows = [_row(trained, spec) for spec in read(trained)]
    header = ("network", "test error, %", "learning rate", "validation error, %", "diverged")
    if name == "shapeset":
        rows.append(("always one class", f"{MAJORITY_ERROR:.1f}", *[MISSING] * 3))
    return Table(
        f"{name}_table" if name in STUDIES else f"table1_{name}",
        _title(name),
        header,
        tuple(rows),
        f"Mean over {trained.sizes['seed']} seeds ± its 95% t interval, at the learning rate of "
        "least validation error. Diverged: networks of all learning rates and seeds that left the "
        "finite numbers.",
    )


def _title(name: str) -> str:
    if name in STUDIES:
        return f"{EXHIBITS[name].title.partition(':')[0]}: final test errors"
    return f"{DATA_SETS[name].title}: every network"


def _row(trained: xr.Dataset, spec: NetworkSpec) -> tuple[str, ...]:
    rate = float(of(trained, "chosen_learning_rate", spec))
    tried = np.isfinite(of(trained, "validation_error", spec)[..., 0])
    diverged = np.isfinite(of(trained, "diverged_at", spec))
    return (
        spec.name,
        _percent(trained, spec),
        number(rate),
        with_interval(validation_error(trained, spec), digits=2),
        f"{diverged.sum()} of {tried.sum()}",
    )


def validation_error(trained: xr.Dataset, spec: NetworkSpec) -> float:
    """Mean final validation error in % at the chosen learning rate, NaN if there is none."""
    rate = chosen_rate(network(trained, spec))
    return np.nan if rate is None else 100 * float(of(trained, "selection_error", spec)[rate])
