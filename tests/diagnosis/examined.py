"""What one pass over a model shows, as the report takes it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from glorot_jax.diagnosis import Traced
from glorot_jax.diagnosis.measuring.examination import examination
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.losses import cross_entropy


def examining(
    traced: Traced, *, bins: int = 4, loss: Any = cross_entropy
) -> Callable[..., Mapping[str, np.ndarray]]:
    """From (params, x, y) to rows by name, in float64."""
    exam = examination(traced, loss, bins)
    program = compiled_once(exam.exposed)

    def rows(params: Any, x: Any, y: Any) -> Mapping[str, np.ndarray]:
        shown = exam.whole(exam.reduced(jax.device_get(program(params, x, y)))).rows
        return {name: np.asarray(values, np.float64) for name, values in shown.items()}

    return rows
