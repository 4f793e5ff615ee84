"""A model in, a report on how its signals move out."""

import html
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from glorot_jax.diagnosis.judging.findings import SEVERE, Finding, find
from glorot_jax.diagnosis.judging.prediction import row_constants
from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.end_to_end import end_to_end
from glorot_jax.diagnosis.measuring.site_jacobians import site_spectra
from glorot_jax.diagnosis.measuring.site_statistics import full_site_statistics
from glorot_jax.diagnosis.reporting.dataset import build_dataset
from glorot_jax.diagnosis.reporting.table import as_text
from glorot_jax.diagnosis.tracing.layout import Unreached
from glorot_jax.diagnosis.tracing.sites import Traced, named_leaves
from glorot_jax.dotted import reason
from glorot_jax.files import write_netcdf
from glorot_jax.losses import cross_entropy
from glorot_jax.typing import ApplyFn, InitFn, Loss, Params, PyTree

# Matplotlib takes longer to import than all the rest, and a training job draws nothing.
if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 80
START_VECTORS = 2**31 - 1  # far from 0, 1, .., which would repeat the keys of the nets
MEMORY = 2**29  # bytes, of the signals of the seeds that are measured at once


class Model(NamedTuple):
    """Something to diagnose: the arguments of ``diagnose`` in one value."""

    apply_fn: ApplyFn[Any]
    params: Any
    x: Any
    y: jax.Array
    loss: Loss = cross_entropy


class UnhealthyError(ValueError):
    """A report has severe findings; its text is one line for each."""


@dataclass(frozen=True)
class Report:
    """How signals move through a model: ``data``, with dims seed and site, and what follows."""

    data: xr.Dataset

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, severe findings first."""
        return find(self.data)

    @property
    def unreached(self) -> tuple[Unreached, ...]:
        """What of the model isn't seen, or is less than it seems."""
        return tuple(Unreached(*pair) for pair in json.loads(self.data.attrs["unreached"]))

    @property
    def healthy(self) -> bool:
        """Whether no finding is severe."""
        return all(finding.severity != SEVERE for finding in self.findings)

    def to_dataset(self) -> xr.Dataset:
        """Every number, labelled; each variable's ``long_name`` says what it is."""
        return self.data

    def __str__(self) -> str:
        """The table, worst layer first, the findings, and what isn't seen."""
        return as_text(self.data, self.findings, self.unreached)

    def plot(self) -> "Figure":
        """Forward and backward profile with theory, fractions, spectra and histograms."""
        from glorot_jax.diagnosis.reporting import figure

        return figure.draw(self.data)

    def save(self, path: Path | str) -> Path:
        """One HTML file with everything; where ``path`` ends in .nc, the data as netCDF.

        Raises:
          ValueError: ``path`` ends in neither. OSError: it can't be written.
        """
        path = Path(path)
        if path.suffix == ".nc":
            return write_netcdf(self.data, path)
        if path.suffix in (".html", ".htm"):
            from glorot_jax.diagnosis.reporting import page

            return page.write(self.data, self.findings, self.unreached, path)
        raise ValueError(f"path: {path} ends in neither .html nor .nc")

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def raise_if_unhealthy(self) -> None:
        """For CI.

        Raises:
          UnhealthyError: a finding is severe.
        """
        severe = [str(finding) for finding in self.findings if finding.severity == SEVERE]
        if severe:
            raise UnhealthyError("\n".join(severe))


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
    spectra: bool = True,
    name: str = "",
) -> Report:
    """A report on the signals and gradients of ``apply_fn(params, x) -> logits`` at every site.

    Args:
      params: a pytree of arrays; or, with ``seeds``, the same with a leading axis of that many
        nets on every array, or a function ``init(key) -> params``, called for each seed.
      x: examples [n, ..], an array or a pytree of them. y: labels [n, ..] for ``loss``.
      loss: of (logits, y), a cost per example [n].
      key: for ``init`` and for the random vectors that singular values are estimated with.
      spectra: whether to find singular values as well, which takes most of the time.
      name: of the model, for the page.

    Raises:
      ValueError: as ``trace`` and ``site_statistics`` do; ``seeds`` isn't the number of nets; or
        ``init`` fails.
    """
    key = jax.random.key(0) if key is None else key
    nets = _nets(params, seeds, key)
    traced = _trace_all(apply_fn, nets, x, y, loss)
    details = _over_seeds(
        partial(full_site_statistics, traced, loss=loss, bins=BINS), traced, nets, x, y
    )
    found = _spectra(traced, nets, x, jax.random.fold_in(key, START_VECTORS)) if spectra else {}
    attrs = {
        "model": name or "Signals of a model",
        "examples": traced.n,
        "loss": getattr(loss, "__name__", str(loss)),
    }
    return Report(build_dataset(traced, row_constants(traced), details, found, attrs))


def _nets(params: Any, seeds: int | None, key: jax.Array) -> Any:
    """Parameters with a leading axis of seeds on every leaf."""
    if seeds is not None and seeds < 1:
        raise ValueError(f"seeds: {seeds} is not a positive number of nets")
    if _is_function(params):
        init: Callable[[jax.Array], Any] = params
        try:
            return jax.jit(jax.vmap(init))(jax.random.split(key, seeds or 1))
        except Exception as error:  # whatever the user's function raises
            raise ValueError(f"params: the function fails for a key ({reason(error)})") from error
    if seeds is None:
        return jax.tree.map(lambda leaf: leaf[None] if hasattr(leaf, "shape") else leaf, params)
    for name, leaf in named_leaves("params", params):
        if np.shape(leaf)[:1] != (seeds,):
            raise ValueError(f"params: {name} is {list(np.shape(leaf))}, not [{seeds}, ..]: seeds")
    return params


def _is_function(params: Any) -> bool:
    """A model that is a pytree may be callable too; a function is a leaf of its own."""
    leaves = jax.tree.leaves(params)
    return callable(params) and len(leaves) == 1 and leaves[0] is params


def _trace_all(apply_fn: ApplyFn[Any], nets: Any, x: Any, y: Any, loss: Loss) -> Traced:
    """The trace of the first net, once all are known to be finite."""
    first = jax.tree.map(lambda leaf: leaf[0] if hasattr(leaf, "shape") else leaf, nets)
    traced = trace_with_costs(apply_fn, first, x, y, loss=loss)
    for name, leaf in named_leaves("params", nets):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            continue
        values = np.asarray(leaf)
        if not np.isfinite(values).all():
            seed = int(np.argmin(np.isfinite(values).reshape(len(values), -1).all(axis=1)))
            raise ValueError(f"params: {name} of seed {seed} has values that are not finite")
    return traced


def _count(nets: Any) -> int:
    return len(jax.tree.leaves(nets)[0])


def _over_seeds(
    measure: Callable[..., Any], traced: Traced, nets: Any, x: Any, y: Any
) -> dict[str, np.ndarray]:
    """``measure`` of every net: so many under one ``vmap`` as memory allows, one on a CPU."""
    values = sum(int(np.prod((*s.steps, *s.s.shape))) for s in traced.sites)
    fits = max(1, MEMORY // (24 * max(values, 1)))
    together = 1 if jax.default_backend() == "cpu" else min(fits, _count(nets))

    @jax.jit
    def every(nets: Any, x: Any, y: Any) -> Any:
        return jax.lax.map(lambda params: measure(params, x, y), nets, batch_size=together)

    return jax.tree.map(np.asarray, dict(every(nets, x, y)))


def _spectra(traced: Traced, nets: Any, x: Any, key: jax.Array) -> dict[str, np.ndarray]:
    """Singular values of every net's Jacobians, one net after the other."""

    @jax.jit
    def every(nets: Any, x: Any, key: jax.Array) -> Any:
        def one(net: tuple[Any, jax.Array]) -> dict[str, jax.Array]:
            params, key = net
            here, through = jax.random.split(key)
            sites = site_spectra(traced, params, x, here)
            whole = end_to_end(traced, params, x, through)
            return {_of_site(name): values for name, values in sites.items()} | {
                _of_whole(name): values for name, values in whole.items()
            }

        return jax.lax.map(one, (nets, jax.random.split(key, _count(nets))))

    return jax.tree.map(np.asarray, every(nets, x, key))


def _of_site(name: str) -> str:
    return name if name.startswith("sigma") else f"sigma_{name}"


def _of_whole(name: str) -> str:
    if name.startswith("s_"):
        return f"to_output_{name.removeprefix('s_')}"
    return f"whole_{_of_site(name)}"
