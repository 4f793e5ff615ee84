"""What a run measures: one module a group, each ``measure(...) -> xarray.Dataset``.

The schema of each group is in ``experiments/results/schema.py``.
"""
