"""Tables of the selection of depth and learning rate, and of the baseline."""

import numpy as np
import xarray as xr

from experiments.report.figures.baseline import PAPER_NET, PAPER_SVM
from experiments.report.figures.studies import at_depth
from experiments.report.tables.errors import validation_error
from experiments.report.tables.table import MISSING, Table, number, with_interval
from experiments.results.queries import of
from experiments.results.schema import find_group
from glorot_jax.confidence import mean_interval


def selection(results: xr.DataTree) -> Table | None:
    """What was chosen for each model on validation error, and by how much."""
    group = find_group(results, "selection")
    if group is None:
        return None
    return Table(
        "selection_table",
        "Section 2.3: depth and learning rate chosen on validation error",
        (
            "model",
            "depth",
            "learning rate",
            "validation error, %",
            "next depth",
            "next rate",
            "test error, %",
        ),
        tuple(_selected(group, model) for model in range(group.sizes["model"])),
        f"Of every model and depth the learning rate of least validation error, mean over "
        f"{group.sizes['seed']} seeds; of every model the depth of least validation error. Next "
        "depth and next rate: by how many points the second best errs more. Test error: mean over "
        "seeds ± its 95% t interval. The paper names depths only: 5 on Shapeset, 4 for sigmoid.",
    )


def _selected(group: xr.Dataset, model: int) -> tuple[str, ...]:
    name = str(group["model"].values[model])
    depth = float(group["chosen_depth"].values[model])
    spec = at_depth(group, model, int(depth)) if np.isfinite(depth) else None
    if spec is None:
        return (name, *[MISSING] * 6)
    test = 100 * np.asarray(group["chosen_test_error"].values[model], np.float64)
    return (
        name,
        number(depth),
        number(float(of(group, "chosen_learning_rate", spec))),
        with_interval(validation_error(group, spec), digits=2),
        with_interval(100 * float(group["depth_margin"].values[model]), digits=2),
        with_interval(100 * float(of(group, "selection_margin", spec)), digits=2),
        with_interval(*mean_interval(test, axis=0), digits=2),
    )


def baseline(results: xr.DataTree) -> Table | None:
    """The SVM against the network on the same fixed examples."""
    group = find_group(results, "baseline")
    if group is None:
        return None
    svm, net = (100 * _by_seed(group, f"{name}_test_error") for name in ("svm", "net"))
    return Table(
        "baseline_table",
        "Baseline: an RBF SVM against a network on the same fixed Shapeset examples",
        ("", "test error, %", "paper, %", "chosen on validation error"),
        (
            (
                "RBF SVM",
                with_interval(*mean_interval(svm, axis=0), digits=2),
                f"{PAPER_SVM:.2f}",
                f"C {_values(group, 'svm_chosen_c')}; gamma {_values(group, 'svm_chosen_gamma')}",
            ),
            (
                f"Tanh N, {group.attrs.get('depth', '?')} layers",
                with_interval(*mean_interval(net, axis=0), digits=2),
                f"{PAPER_NET:.2f}",
                f"learning rate {_values(group, 'net_chosen_learning_rate')}; "
                f"updates {_values(group, 'net_chosen_update')}",
            ),
            (
                "difference",
                with_interval(*mean_interval(svm - net, axis=0), digits=2),
                f"{PAPER_SVM - PAPER_NET:.2f}",
                MISSING,
            ),
        ),
        f"{group.attrs.get('training_examples', '?')} training examples and layers of "
        f"{group.attrs.get('width', '?')} units; the paper's are 100 000 and 1000. Mean over "
        f"{len(svm)} seeds ± its 95% t interval, the difference taken seed by seed. Where seeds "
        "chose differently, their choices in order. gamma counts in 1 / (pixels times their "
        "variance).",
    )


def _by_seed(group: xr.Dataset, name: str) -> np.ndarray:
    return np.asarray(group[name].values, np.float64)


def _values(group: xr.Dataset, name: str) -> str:
    """The choices of all seeds, once if they agree."""
    choices = [f"{value:.6g}" for value in _by_seed(group, name)]
    return choices[0] if len(set(choices)) == 1 else ", ".join(choices)
