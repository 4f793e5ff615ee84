"""How signals move through any JAX model: sites, and what is measured at each of them."""

from glorot_jax.diagnosis.sites import Row, Signals, Site, Traced, Unreached, trace
from glorot_jax.diagnosis.statistics import QUANTILES, site_statistics

__all__ = [
    "QUANTILES",
    "Row",
    "Signals",
    "Site",
    "Traced",
    "Unreached",
    "site_statistics",
    "trace",
]
