"""Tables as plain text cells: pure functions of the results, for the page and for Markdown."""

import xarray as xr

from experiments.data.registry import DATA_SETS
from experiments.report.tables.errors import of_group, table_1, table_1_p
from experiments.report.tables.initial import singular_values, variances
from experiments.report.tables.question import question
from experiments.report.tables.studies import baseline, selection
from experiments.report.tables.table import Table, probability, to_markdown
from experiments.studies import STUDIES

OWN = ("selection", "plateau", "adam", "first_layer")  # have tables of their own

__all__ = [
    "Table",
    "baseline",
    "every",
    "of_group",
    "probability",
    "question",
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
        *(of_group(results, study) for study in STUDIES if study not in OWN),
        *question(results),
        baseline(results),
        singular_values(results),
        variances(results),
        *(of_group(results, name) for name in DATA_SETS),
    ]
    return [table for table in made if table is not None]
