"""Whether two finished runs have the same results."""

from pathlib import Path

import numpy as np

from experiments.results import schema


def assert_same(folder: Path, other: Path, *, rtol: float = 0, atol: float = 0) -> None:
    """The results of both are the same, to the bit unless told."""
    found, expected = (schema.load(f / "results.nc") for f in (folder, other))
    assert set(found.children) == set(expected.children)
    for group, measured in schema.groups(expected).items():
        assert set(found[group].variables) == set(measured.variables), group
        for name, variable in measured.variables.items():
            again, where = found[group][name].values, f"{group}/{name}"
            if rtol and np.issubdtype(again.dtype, np.floating):
                np.testing.assert_allclose(
                    again, variable.values, rtol=rtol, atol=atol, err_msg=where
                )
            else:
                np.testing.assert_array_equal(again, variable.values, err_msg=where)
