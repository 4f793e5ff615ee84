"""Tables of networks at initialisation: eq. 17 and eqs. 5-7."""

import xarray as xr

from experiments.claims.paper import PAPER_SINGULAR_VALUE
from experiments.networks import read
from experiments.report.tables.table import MISSING, Table, with_interval
from experiments.results.queries import mean_singular_values, network, of, select
from experiments.results.schema import find_group
from glorot_jax.confidence import mean_interval

_SIGNS = {"activation": "z", "backprop": "∂C/∂s", "weight_gradient": "∂C/∂w"}


def singular_values(results: xr.DataTree) -> Table | None:
    """Eq. 17: mean singular value of the Jacobians by unit and initialiser."""
    initial = find_group(results, "initial")
    if initial is None:
        return None
    rows = []
    for spec in read(initial):
        per_seed = mean_interval(mean_singular_values(network(initial, spec)), axis=-1).mean
        oracle = float(of(initial, "predicted_singular_value_mean", spec))
        paper = PAPER_SINGULAR_VALUE.get(spec.kind)
        rows.append(
            (
                spec.name,
                with_interval(*mean_interval(per_seed, axis=0), digits=3),
                with_interval(oracle, digits=3),
                MISSING if paper is None else f"about {paper:.1f}",
            )
        )
    return Table(
        "eq17_table",
        "Eq. 17: mean singular value of the layer-to-layer Jacobians",
        ("network", "measured", "oracle", "paper"),
        tuple(rows),
        "Mean over layers, examples and seeds ± its 95% t interval over seeds. The "
        "oracle is 8/(3 pi) sqrt(n Var[W]), for units of slope 1.",
    )


def variances(results: xr.DataTree) -> Table | None:
    """Measured mean squares over those of the linear regime, tanh, by layer (eqs. 5-7)."""
    initial = find_group(results, "initial")
    if initial is None:
        return None
    columns = []
    for scheme in ("standard", "normalized"):
        for spec in select(initial, "tanh", scheme, known="activation_mean_square")[:1]:
            for name in ("activation", "backprop", "weight_gradient"):
                ratio = of(initial, f"{name}_mean_square", spec) / of(
                    initial, f"predicted_{name}", spec
                )
                columns.append((f"{spec.name}: {_SIGNS[name]}", mean_interval(ratio, axis=0)))
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
