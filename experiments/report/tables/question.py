"""Tables of our own question: updates to leave the plateau, and what is saturated at the end."""

import numpy as np
import xarray as xr

from experiments.claims.plateau import leaving
from experiments.networks import NetworkSpec
from experiments.report.figures.errors import courses
from experiments.report.figures.question import geometric
from experiments.report.tables.table import Table, number, with_interval
from experiments.results.queries import layers, network, of
from experiments.results.schema import find_group
from glorot_jax.confidence import mean_interval

LEAVING = ("plateau", "adam")
_TITLES = {"plateau": "Our question (a)", "adam": "Our question (b)"}


def question(results: xr.DataTree) -> list[Table]:
    """The tables of those of our experiments that ``results`` hold."""
    made = [*(_leaving(results, name) for name in LEAVING), _saturated(results)]
    return [table for table in made if table is not None]


def _leaving(results: xr.DataTree, name: str) -> Table | None:
    study = find_group(results, name)
    shown = courses(study)
    if study is None or not shown:
        return None
    last = int(study["update"].values[-1])
    return Table(
        f"{name}_table",
        f"{_TITLES[name]}: updates to leave the plateau",
        ("network", "learning rate", "updates to leave", "still there", "test error, %"),
        tuple(_row(study, one.spec) for one in shown),
        "Updates until the test error is a tenth below guessing's: geometric mean over "
        f"{study.sizes['seed']} seeds and its 95% t interval. A seed still there at the end of the "
        f"{last} updates counts as leaving then. Test error at the end: mean ± its 95% t interval.",
    )


def _row(study: xr.Dataset, spec: NetworkSpec) -> tuple[str, ...]:
    when = leaving(network(study, spec))
    stayed = int(np.isnan(when).sum())
    mean, low, high = geometric(np.fmin(when, study["update"].values[-1]))
    errors = mean_interval(100 * of(study, "final_test_error", spec), axis=0)
    return (
        spec.name,
        number(float(of(study, "chosen_learning_rate", spec))),
        f"{'> ' if stayed else ''}{mean:.0f} ({low:.0f} to {high:.0f})",
        f"{stayed} of {len(when)}",
        with_interval(errors.mean, errors.half, digits=2),
    )


def _saturated(results: xr.DataTree) -> Table | None:
    study = find_group(results, "first_layer")
    shown = courses(study)
    if study is None or not shown:
        return None
    return Table(
        "first_layer_table",
        "Our question (c): saturated at the end, %",
        ("network", *(f"layer {layer}" for layer in layers(study)), "test error, %"),
        tuple(_fractions(study, one.spec) for one in shown),
        "Fraction of units and monitored examples whose slope is below 5% of the steepest, mean "
        f"over {study.sizes['seed']} seeds ± its 95% t interval, after "
        f"{int(study['update'].values[-1])} updates.",
    )


def _fractions(study: xr.Dataset, spec: NetworkSpec) -> tuple[str, ...]:
    at_end = mean_interval(100 * of(study, "activation_saturated", spec)[:, -1], axis=0)
    errors = mean_interval(100 * of(study, "final_test_error", spec), axis=0)
    return (
        spec.name,
        *(with_interval(m, h, digits=1) for m, h in zip(at_end.mean, at_end.half, strict=True)),
        with_interval(errors.mean, errors.half, digits=2),
    )
