"""Remedies tried in memory before they are offered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import jax
import numpy as np

from glorot_jax.diagnosis.judging.evidence import Evidence
from glorot_jax.diagnosis.judging.finding import NOTE, SEVERE, Finding
from glorot_jax.diagnosis.judging.verdict import judge
from glorot_jax.diagnosis.mending.calibration import WORSE
from glorot_jax.diagnosis.mending.kernel_scales import find_groups, find_scales, multiplied
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.typing import PyTree

Look = Callable[[PyTree], Evidence]


def with_trials(
    findings: Sequence[Finding],
    traced: Traced,
    params: PyTree,
    x: PyTree,
    before: Evidence,
    look: Look,
) -> tuple[Finding, ...]:
    """``findings`` on one net, each cure that scales kernels with what it did, or left out.

    ``look``: from other parameters to the evidence on them. A cure that makes the cost worse,
    leaves the finding as severe as it was or brings another severe one is not offered.
    """
    tried = []
    for finding in findings:
        if finding.factors and finding.severity != NOTE:
            scaled = scaled_by(traced, params, x, dict(finding.factors))
            after = look(scaled)
            finding = _judged(finding, before, after, findings)
        tried.append(finding)
    return tuple(tried)


def _judged(
    finding: Finding, before: Evidence, after: Evidence, findings: Sequence[Finding]
) -> Finding:
    left = {one.kind: one for one in judge(after) if one.severity != NOTE}
    same = left.get(finding.kind)
    had = {one.kind for one in findings}
    new = [one for one in left.values() if one.severity == SEVERE and one.kind not in had]
    dearer = not after.cost <= WORSE * max(before.cost, max(after.answers.zero, 0.0))
    if dearer or new or (same is not None and same.rank <= finding.rank):
        return replace(finding, cure="No scale of the kernels alone mends it.", factors=())
    became = "it is gone" if same is None else f"{finding.value:.3g} -> {same.value:.3g}"
    cost = f"the first cost goes from {before.cost:.3g} to {after.cost:.3g}"
    return replace(finding, cure=f"{finding.cure} Tried: {became}, {cost}.")


def scaled_by(traced: Traced, params: PyTree, x: PyTree, factors: Mapping[str, float]) -> PyTree:
    """``params`` with the kernels of rows multiplied by ``factors``, by their labels.

    Rows with one kernel in common get the geometric mean of what is asked for them; a kernel that
    no parameter scales stays as it is.
    """
    leaves, structure = jax.tree.flatten(params)
    groups, _ = find_groups(traced, find_scales(traced, params, x))
    rows = traced.rows()
    for group in groups:
        asked = [factors[rows[row].label] for row in group.rows if rows[row].label in factors]
        if asked:
            where = group.where
            scale = np.ones([leaves[where.leaf].shape[axis] for axis in where.axes])
            scale[group.step] = np.exp(np.mean(np.log(asked)))
            leaves[where.leaf] = multiplied(leaves[where.leaf], scale, where.axes)
    return jax.tree.unflatten(structure, leaves)
