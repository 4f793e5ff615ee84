"""What can be wrong, one file a kind of sickness: each rule takes evidence and gives findings."""

from collections.abc import Callable

from glorot_jax.diagnosis.judging.evidence import Evidence
from glorot_jax.diagnosis.judging.finding import Finding
from glorot_jax.diagnosis.judging.rules import (
    attention,
    closed,
    finite,
    inputs,
    outputs,
    precision,
    profiles,
    steps,
    units,
)

RULES: tuple[Callable[[Evidence], list[Finding]], ...] = (
    finite.not_finite,
    finite.overflow,
    closed.no_gradient,
    closed.alike_units,
    inputs.input_scale,
    inputs.alike_inputs,
    inputs.constant_features,
    profiles.forward,
    profiles.backward,
    profiles.through_time,
    profiles.collapse,
    units.saturation,
    units.dead,
    attention.softmaxes,
    outputs.output_function,
    outputs.target_scale,
    outputs.first_cost,
    outputs.flat_loss,
    outputs.mixed_shapes,
    outputs.bounded_outputs,
    precision.low_precision,
    steps.first_update,
)
