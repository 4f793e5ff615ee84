"""Tables as plain text cells: pure functions of the results, for the page and for Markdown."""

import xarray as xr

from experiments.report.tables.errors import STUDY_TITLES, of_part, table_1, table_1_p
from experiments.report.tables.initial import singular_values, variances
from experiments.report.tables.studies import baseline, selection
from experiments.report.tables.table import Table, to_markdown
from experiments.report.tables.verdicts import STATUS_ORDER, claims, in_order
from experiments.results.schema import DATA_SETS

__all__ = [
    "STATUS_ORDER",
    "Table",
    "baseline",
    "claims",
    "every",
    "in_order",
    "of_part",
    "selection",
    "singular_values",
    "table_1",
    "table_1_p",
    "to_markdown",
    "variances",
]


def every(results: xr.DataTree) -> list[Table]:
    """Every table that has data, Table 1 first."""
    made = [
        table_1(results),
        table_1_p(results),
        selection(results),
        *(of_part(results, study) for study in STUDY_TITLES),
        baseline(results),
        singular_values(results),
        variances(results),
        *(of_part(results, name) for name in DATA_SETS),
    ]
    return [table for table in made if table is not None]
