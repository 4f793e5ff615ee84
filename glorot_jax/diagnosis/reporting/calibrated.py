"""``calibrate`` with reports on the parameters before and after it."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from glorot_jax.diagnosis.mending import calibration
from glorot_jax.diagnosis.mending.calibration import Mode
from glorot_jax.diagnosis.reporting.diagnosing import diagnose
from glorot_jax.diagnosis.reporting.report import Report
from glorot_jax.diagnosis.tracing.sites import trace
from glorot_jax.losses import cross_entropy
from glorot_jax.typing import ApplyFn, Loss, Params, PyTree


@dataclass(frozen=True)
class Calibrated(calibration.Calibrated[Params]):
    """As ``calibration.Calibrated``; ``reports``: before and after, None unless asked for."""

    reports: tuple[Report, Report] | None = None


def calibrate(
    apply_fn: ApplyFn[Params],
    params: Params,
    x: PyTree,
    y: PyTree = None,
    /,
    *,
    mode: Mode = "forward",
    target: float = 1.0,
    loss: Loss = cross_entropy,
    report: bool = False,
) -> Calibrated[Params]:
    """``calibration.calibrate``, with ``report`` also a report on the net before and after.

    That takes one more compiled program.

    Raises:
      ValueError: as ``calibration.calibrate`` does.
    """
    made = calibration.calibrate(apply_fn, params, x, y, mode=mode, target=target, loss=loss)
    reports = _reports(apply_fn, params, made.params, x, y, loss) if report else None
    return Calibrated(
        made.params, made.factors, made.before, made.after, made.skipped, made.refused, reports
    )


def _reports(
    apply_fn: ApplyFn[Any], before: PyTree, after: PyTree, x: PyTree, y: PyTree, loss: Loss
) -> tuple[Report, Report]:
    """Both from one program, as if they were two seeds."""
    if y is None:
        loss, y = calibration.loss_and_labels(trace(apply_fn, before, x), y, loss)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), before, after)
    data = diagnose(apply_fn, both, x, y, loss=loss, seeds=2, spectra=False).data
    return Report(data.isel(seed=[0])), Report(data.isel(seed=[1]))
