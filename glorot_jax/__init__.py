"""How signals move through deep networks: Glorot & Bengio (2010) in JAX, and any other model.

Names are imported when they are first used: xarray, SciPy and Matplotlib take longer than JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glorot_jax.diagnosis import Model, Report, UnhealthyError, diagnose, trace
    from glorot_jax.diagnosis.reporting.calibrated import Calibrated, calibrate
    from glorot_jax.diagnosis.reporting.coordinate_check import coordinate_check
    from glorot_jax.diagnosis.reporting.coordinate_report import CoordinateCheck
    from glorot_jax.diagnosis.reporting.monitor import monitor
    from glorot_jax.diagnosis.reporting.watch import Watch, watch

__version__ = "0.1.0"

__all__ = [
    "Calibrated",
    "CoordinateCheck",
    "Model",
    "Report",
    "UnhealthyError",
    "Watch",
    "calibrate",
    "coordinate_check",
    "diagnose",
    "monitor",
    "trace",
    "watch",
]

_ELSEWHERE = {
    "Calibrated": "reporting.calibrated",
    "Watch": "reporting.watch",
    "CoordinateCheck": "reporting.coordinate_report",
    "calibrate": "reporting.calibrated",
    "coordinate_check": "reporting.coordinate_check",
    "monitor": "reporting.monitor",
    "watch": "reporting.watch",
}


if not TYPE_CHECKING:  # a type checker would take any name for one that is there

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        room = f".{_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
        value = getattr(import_module(f"glorot_jax.diagnosis{room}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
