"""How signals move through any JAX model: sites, what is measured at each, and a report on it."""

from glorot_jax.diagnosis.judging.finding import Finding
from glorot_jax.diagnosis.measuring.site_statistics import QUANTILES, site_statistics
from glorot_jax.diagnosis.reporting.diagnosing import diagnose
from glorot_jax.diagnosis.reporting.report import Model, Report, UnhealthyError
from glorot_jax.diagnosis.tracing.layout import Site, SiteRow, Unreached
from glorot_jax.diagnosis.tracing.sites import Signals, Traced, trace

__all__ = [
    "QUANTILES",
    "Finding",
    "Model",
    "Report",
    "Signals",
    "Site",
    "SiteRow",
    "Traced",
    "UnhealthyError",
    "Unreached",
    "diagnose",
    "site_statistics",
    "trace",
]
