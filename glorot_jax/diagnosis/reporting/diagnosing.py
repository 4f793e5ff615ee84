"""From a model to the report on it: traced, measured, judged."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Literal, TypeVar

import jax
import numpy as np
import optax
import xarray as xr

from glorot_jax import keys, processes
from glorot_jax.diagnosis.judging.evidence import Evidence
from glorot_jax.diagnosis.judging.finding import Finding, without_ignored
from glorot_jax.diagnosis.judging.gathering import Examinee, gather
from glorot_jax.diagnosis.judging.prediction import row_constants
from glorot_jax.diagnosis.judging.seen import what_is_seen
from glorot_jax.diagnosis.judging.verdict import judge, judge_all
from glorot_jax.diagnosis.measuring.budget import Share, affordable
from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.end_to_end import COTANGENTS, end_to_end
from glorot_jax.diagnosis.measuring.examination import differentiable, examination, mean_cost
from glorot_jax.diagnosis.measuring.pieces import Pieces, in_pieces
from glorot_jax.diagnosis.measuring.site_jacobians import site_spectra
from glorot_jax.diagnosis.measuring.wide import is_inexact
from glorot_jax.diagnosis.mending.trial import with_trials
from glorot_jax.diagnosis.reporting.dataset import build_dataset
from glorot_jax.diagnosis.reporting.report import Report
from glorot_jax.diagnosis.tracing.meshes import over_automatic_mesh, placed_by_compiler
from glorot_jax.diagnosis.tracing.sites import Traced, named_leaves, trace
from glorot_jax.dotted import reason
from glorot_jax.losses import cross_entropy
from glorot_jax.typing import ApplyFn, InitFn, Loss, Params, PyTree

T = TypeVar("T")
_log = logging.getLogger(__name__)
BINS = 80


@over_automatic_mesh
def diagnose(
    apply_fn: ApplyFn[Params],
    params: Params | InitFn[Params],
    x: PyTree,
    y: PyTree,
    /,
    *,
    loss: Loss = cross_entropy,
    seeds: int | None = None,
    key: jax.Array | None = None,
    spectra: bool | Literal["auto"] = "auto",
    batch: int | None = None,
    optimizer: optax.GradientTransformation | None = None,
    ignore: Sequence[str] = (),
    signal: Sequence[str] = (),
    name: str = "",
    distributed: bool = False,
) -> Report:
    """A report on the signals and gradients of ``apply_fn(params, x) -> logits`` at every site.

    Args:
      params: a pytree of arrays; or, with ``seeds``, the same with a leading axis of that many
        nets on every array, or a function ``init(key) -> params``, called for each seed.
      x: examples [n, ..], an array or a pytree of them. y: labels [n, ..] for ``loss``.
      loss: of (logits, y), a cost per example [n].
      key: for ``init`` and for the random vectors that singular values are estimated with.
      spectra: singular values as well: "auto", of as many examples and sites as take about the
        time of the rest; True, of all, which may take far longer; False, of none.
      batch: at most so many examples at once, where memory doesn't hold the signals of all.
        Statistics are merged; ``measuring.merging`` says what of them is no more than nearly that
        of one pass, and singular values are those of the first batch. A model or loss that
        compares examples, as batch normalisation in training does, does so within a batch.
      optimizer: any optax transformation; its first update is then held against the kernels.
      ignore: kinds of findings, or patterns of sites such as ``head/*``, that are on purpose.
      signal: parameters that count as signal, as ``trace`` takes them.
      name: of the model, for the page.
      distributed: whether all processes of ``jax.distributed`` make this call and share the nets,
        each on its own first device; all get the whole report.

    Raises:
      ValueError: as ``trace`` and ``site_statistics`` do; ``seeds`` isn't the number of nets; or
        ``init`` fails; or ``in_pieces`` can't take ``batch``.
    """
    key = jax.random.key(0) if key is None else key
    each, x, y = placed_by_compiler((_nets(params, seeds, key), x, y))
    _log.info("tracing")
    traced = _trace_all(apply_fn, each, x, y, loss, signal)
    cost = mean_cost(apply_fn, loss)
    exam = examination(traced, loss, BINS, differentiable=differentiable(cost, each[0], x, y))
    pieces = in_pieces(apply_fn, each[0], x, y, exam, batch=batch, signal=signal)
    _log.info("compiling and measuring")
    mine = processes.share(len(each)) if distributed else range(len(each))
    of_all = _of_all if distributed else list
    examined = {seed: pieces.examine(each[seed]) for seed in mine}
    details = _stacked(of_all([examined[seed].rows for seed in mine]))
    attrs: dict[str, Any] = {
        "model": name or "Signals of a model",
        "examples": traced.n,
        "loss": getattr(loss, "__name__", str(loss)),
    }
    found: Mapping[str, np.ndarray] = {}
    if spectra:
        of_some, (some_x, _) = pieces.traced, pieces.data[0]
        share = affordable(of_some) if spectra == "auto" else None
        spectra_of = _spectra(apply_fn, of_some, each, mine, some_x, key, share, signal)
        found = _stacked(of_all(spectra_of))
        if left_out := _left_out(share, of_some, traced.n):
            attrs["spectra"] = left_out
    data = build_dataset(traced, row_constants(traced), details, found, attrs)
    model = Examinee(apply_fn, exam, x, y, data.two_sided.values, pieces.data, optimizer)
    _log.info("judging")
    evidence = of_all(
        [
            gather(model, each[seed], examined[seed], _rows(data, seed), pieces.examine)
            for seed in mine
        ]
    )
    findings = judge_all(evidence)
    tried = partial(_tried, findings, model, each, evidence, pieces)
    findings = processes.first(tried) if distributed else tried()
    findings = without_ignored(findings, ignore)
    seen, unseen = what_is_seen(evidence)
    if len(pieces.data) > 1 and any(one.answers.mixes for one in evidence):
        unseen.append(f"the loss compares examples: with batch={batch} only within a batch")
    said = {
        "findings": json.dumps([asdict(one) for one in findings]),
        "seen": seen,
        "unseen": json.dumps(unseen),
    }
    return Report(data.assign_attrs(said))


def _of_all(some: Sequence[T]) -> list[T]:
    """What every process has some of, in their order."""
    return [one for part in processes.from_all(some) for one in part]


def _stacked(nets: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.stack([one[name] for one in nets]) for name in nets[0]}


def _tried(
    findings: tuple[Finding, ...],
    model: Examinee,
    nets: Sequence[Any],
    evidence: Sequence[Evidence],
    pieces: Pieces,
) -> tuple[Finding, ...]:
    """Cures tried on the first of the nets that is worst off."""
    if not any(finding.factors for finding in findings):
        return findings
    worst = min(range(len(nets)), key=lambda seed: _rank(judge(evidence[seed])))

    def look(params: Any) -> Evidence:
        examined = pieces.examine(params)
        rows = {name: np.asarray(values) for name, values in examined.rows.items()}
        rows["critical_gain"] = np.full(len(model.heads), np.nan)
        return gather(model, params, examined, rows, pieces.examine, evidence[worst].answers)

    some_x, _ = pieces.data[0]
    return with_trials(findings, pieces.traced, nets[worst], some_x, evidence[worst], look)


def _left_out(share: Share | None, some: Traced, n: int) -> str:
    """What singular values aren't of, where ``some`` of ``n`` examples are at hand."""
    line = share.left_out(some) if share else ""
    if some.n == n:
        return line
    if line:
        return f"{line}; of {n} examples the first batch, {some.n}, is looked at"
    return f"singular values: the first batch, {some.n} of {n} examples"


def _rank(findings: Sequence[Finding]) -> int:
    return min((finding.rank for finding in findings), default=9)


def _net(nets: Any, seed: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[seed] if hasattr(leaf, "shape") else leaf, nets)


def _rows(data: xr.Dataset, seed: int) -> dict[str, np.ndarray]:
    """[rows] by name, of one net."""
    one = data.isel(seed=seed)
    return {
        str(name): values.values
        for name, values in one.data_vars.items()
        if values.dims == ("site",)
    }


def _nets(params: Any, seeds: int | None, key: jax.Array) -> list[Any]:
    """The parameters of each net."""
    if seeds is not None and seeds < 1:
        raise ValueError(f"seeds: {seeds} is not a positive number of nets")
    if _is_function(params):
        init: Callable[[jax.Array], Any] = params
        try:
            drawn = jax.jit(jax.vmap(init))(jax.random.split(key, seeds or 1))
        except Exception as error:  # whatever the user's function raises
            raise ValueError(f"params: the function fails for a key ({reason(error)})") from error
        return [_net(drawn, seed) for seed in range(seeds or 1)]
    if seeds is None:
        return [params]
    for name, leaf in named_leaves("params", params):
        if np.shape(leaf)[:1] != (seeds,):
            raise ValueError(f"params: {name} is {list(np.shape(leaf))}, not [{seeds}, ..]: seeds")
    return [_net(params, seed) for seed in range(seeds)]


def _is_function(params: Any) -> bool:
    """A model that is a pytree may be callable too; a function is a leaf of its own."""
    leaves = jax.tree.leaves(params)
    return callable(params) and len(leaves) == 1 and leaves[0] is params


def _trace_all(
    apply_fn: ApplyFn[Any], nets: Sequence[Any], x: Any, y: Any, loss: Loss, signal: Sequence[str]
) -> Traced:
    """The trace of the first net, once all are known to be finite."""
    traced = trace_with_costs(apply_fn, nets[0], x, y, loss=loss, signal=signal)
    for seed, net in enumerate(nets):
        for name, leaf in named_leaves("params", net):
            if is_inexact(leaf) and not np.isfinite(np.asarray(leaf)).all():
                raise ValueError(f"params: {name} of seed {seed} has values that are not finite")
    return traced


def _spectra(
    apply_fn: ApplyFn[Any],
    traced: Traced,
    nets: Sequence[Any],
    some: range,
    x: Any,
    key: jax.Array,
    share: Share | None,
    signal: Sequence[str],
) -> list[dict[str, np.ndarray]]:
    """Singular values of the Jacobians of ``some`` of the nets, one net after the other."""
    if not some:
        return []
    _log.info("finding singular values")
    few, x_of_few = traced, x
    if share is None:
        of_sites, of_whole = site_spectra(traced), end_to_end(traced)
    else:
        few, x_of_few = _of_fewer(apply_fn, traced, nets[0], x, share.whole, signal)
        of_sites = site_spectra(traced, examples=share.examples, sites=share.sites)
        of_whole = end_to_end(few, cotangents=COTANGENTS)

    def one(seed: int) -> dict[str, np.ndarray]:
        here, through = keys.generator(key, seed).spawn(2)
        sites = of_sites(nets[seed], x, here)
        whole = of_whole(nets[seed], x_of_few, through)
        return {_of_site(name): values for name, values in sites.items()} | {
            _of_whole(name): values for name, values in whole.items()
        }

    return [one(seed) for seed in some]


def _of_fewer(
    apply_fn: ApplyFn[Any],
    traced: Traced,
    params: Any,
    x: Any,
    count: int,
    signal: Sequence[str],
) -> tuple[Traced, Any]:
    """The first ``count`` examples and the trace of them; all where they aren't to be parted."""
    if count >= traced.n or any(np.shape(leaf)[:1] != (traced.n,) for leaf in jax.tree.leaves(x)):
        return traced, x
    fewer = jax.tree.map(lambda leaf: leaf[:count], x)
    few = trace(apply_fn, params, fewer, signal=signal)
    return (few, fewer) if few.rows() == traced.rows() else (traced, x)


def _of_site(name: str) -> str:
    return name if name.startswith("sigma") else f"sigma_{name}"


def _of_whole(name: str) -> str:
    if name.startswith("s_"):
        return f"to_output_{name.removeprefix('s_')}"
    return f"whole_{_of_site(name)}"
