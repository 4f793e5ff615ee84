"""How signals move through deep networks: Glorot & Bengio (2010) in JAX, and any other model."""

from glorot_jax.diagnosis import Model, Report, UnhealthyError, diagnose, trace
from glorot_jax.diagnosis.reporting.calibrated import Calibrated, calibrate
from glorot_jax.diagnosis.reporting.monitor import monitor

__version__ = "0.1.0"

__all__ = [
    "Calibrated",
    "Model",
    "Report",
    "UnhealthyError",
    "calibrate",
    "diagnose",
    "monitor",
    "trace",
]
