"""How signals move through any JAX model: sites, what is measured at each, and a report on it."""

from glorot_jax.diagnosis.findings import Finding
from glorot_jax.diagnosis.report import Model, Report, UnhealthyError, diagnose
from glorot_jax.diagnosis.sites import Row, Signals, Site, Traced, Unreached, trace
from glorot_jax.diagnosis.statistics import QUANTILES, site_statistics

__all__ = [
    "QUANTILES",
    "Finding",
    "Model",
    "Report",
    "Row",
    "Signals",
    "Site",
    "Traced",
    "UnhealthyError",
    "Unreached",
    "diagnose",
    "site_statistics",
    "trace",
]
