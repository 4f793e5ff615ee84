"""A whole training run watched from inside one's own jitted update, and judged afterwards."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glorot_jax.diagnosis.judging.changes import judge_run
from glorot_jax.diagnosis.judging.finding import Finding
from glorot_jax.diagnosis.judging.history import History
from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.examination import mean_cost
from glorot_jax.diagnosis.measuring.site_statistics import Statistics
from glorot_jax.diagnosis.measuring.watching import (
    Sizes,
    measured_if,
    statistics_of_update,
    update_sizes,
)
from glorot_jax.diagnosis.reporting.writers import Record, scalars, to_dataset
from glorot_jax.diagnosis.tracing.meshes import by_compiler
from glorot_jax.diagnosis.tracing.sites import Traced
from glorot_jax.diagnosis.tracing.stations import Landmarks, find_landmarks
from glorot_jax.losses import cross_entropy
from glorot_jax.typing import ApplyFn, Loss, PyTree

if TYPE_CHECKING:
    from glorot_jax.diagnosis.reporting.run_page import RunPage

EVERY = 500
JUMP = 3.0  # times the mean cost before, from which on a cost is worth a look


class WatchState(NamedTuple):
    """What is carried from update to update, a few numbers: a part of one's checkpoint.

    ``updates``: done so far. Of the costs given since the last measurement: ``number``, ``total``,
    ``largest`` and its update ``at``; ``jumped``: the first update with one above ``JUMP`` times
    ``usual``, their mean before the last measurement, or -1.
    """

    updates: jax.Array
    number: jax.Array
    total: jax.Array
    largest: jax.Array
    at: jax.Array
    jumped: jax.Array
    usual: jax.Array


@dataclass(frozen=True)
class Watch:
    """What ``gj.watch`` returns; pure inside a program, and the judge of the run outside of it."""

    apply_fn: ApplyFn[Any]
    optimizer: optax.GradientTransformation | None
    loss: Loss
    every: int

    def init(self, params: PyTree, /) -> WatchState:
        """The state before the first update. It holds no copy of ``params``."""
        del params
        zero, none = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.float32)
        least, never = jnp.full((), -jnp.inf, jnp.float32), jnp.full((), -1, jnp.int32)
        return WatchState(zero, none, none, least, zero, never, jnp.full((), jnp.inf, jnp.float32))

    def due(self, update: int, /) -> bool:
        """Whether the call with that many updates done measures, so that ``seen`` holds numbers."""
        return update % self.every == 0

    def __call__(
        self,
        state: WatchState,
        params: PyTree,
        grads: PyTree,
        batch: tuple[PyTree, PyTree],
        /,
        *,
        opt_state: PyTree = None,
        cost: jax.Array | None = None,
        due: bool | jax.Array | None = None,
    ) -> tuple[WatchState, Statistics]:
        """The state after this update, and what was seen of it: NaN or nothing unless it was due.

        Args:
          params: before the update.
          grads: of the mean cost in them, as the optimizer gets them. None: those of ``batch``,
            computed once more when it is due.
          batch: (x, y), that of the update or one kept for measuring.
          opt_state: the optimizer's state before the update; needed where it has one.
          cost: the mean cost that came with ``grads``. With it the largest cost between two
            measurements and its update are known, without it only what is measured.
          due: ``self.due(..)`` as a static argument of one's own ``jit``, which then makes two
            programs: an update that isn't due has nothing of the measurement in it, and sees
            nothing. None: decided in the program, by the updates done; on a CPU the memory of the
            measurement is then asked for at every update, which for few examples takes longer than
            the update.

        ``seen.values`` is [site] by the names of ``site_statistics``, with step, unmoved,
        attention_entropy and two_sided; ``seen.overall`` has loss, step, and with ``cost``
        loss_mean, loss_max and loss_max_ago, how many updates before this one that was, and
        loss_jump_ago: the same of the first cost of ``JUMP`` times the mean before.

        Raises:
          ValueError: as ``monitor``; the optimizer has a state and isn't given it, or fails.
        """
        x, y = _pair(batch)
        kept = self._optimizer_state(params, opt_state)
        spent = _with_cost(state, cost)
        after = spent._replace(updates=state.updates + 1)
        if due is False:
            return after, Statistics({}, (), {})
        sites: list[str] = []

        def measured(
            due: bool | jax.Array, *given: Any
        ) -> tuple[Mapping[str, jax.Array], Mapping[str, jax.Array]]:
            params, _, _, x, y, _ = given
            traced = trace_with_costs(self.apply_fn, params, x, y, loss=self.loss)
            landmarks = find_landmarks(traced.block, len(jax.tree.leaves(params)), traced.n)
            sites[:] = (row.label for row in traced.rows())
            return measured_if(due, partial(self._measure, traced, landmarks), *given)

        given = params, grads, kept, x, y, spent
        if due is None:
            due = state.updates % self.every == 0
        if due is True:
            values, overall = by_compiler(partial(measured, True), *given)
        else:
            values, overall = by_compiler(measured, due, *given)
        usual = jnp.where(spent.number > 0, spent.total / spent.number, spent.usual)
        fresh = self.init(params)._replace(updates=after.updates, usual=usual)
        after = jax.tree.map(lambda new, old: jnp.where(due, new, old), fresh, after)
        return after, Statistics(values, tuple(sites), overall)

    def _optimizer_state(self, params: PyTree, opt_state: PyTree) -> PyTree:
        if self.optimizer is None or opt_state is not None:
            return opt_state
        shapes = jax.eval_shape(self.optimizer.init, params)
        if jax.tree.leaves(shapes):
            raise ValueError("opt_state: is needed, because this optimizer has a state")
        return shapes

    def _measure(
        self,
        traced: Traced,
        landmarks: Landmarks,
        params: PyTree,
        grads: PyTree,
        opt_state: PyTree,
        x: PyTree,
        y: PyTree,
        spent: WatchState,
    ) -> tuple[Mapping[str, jax.Array], Mapping[str, jax.Array]]:
        sizes: Mapping[str, Sizes] = {}
        if self.optimizer is not None:
            if grads is None:
                grads = jax.grad(mean_cost(self.apply_fn, self.loss))(params, x, y)
            updates, _ = self.optimizer.update(grads, opt_state, params)
            sizes = update_sizes(traced, params, updates)
        rows, overall = statistics_of_update(traced, landmarks, params, sizes, x, y, loss=self.loss)
        costs = {
            "loss_mean": spent.total / spent.number,
            "loss_max": spent.largest,
            "loss_max_ago": (spent.updates - spent.at).astype(jnp.float32),
            "loss_jump_ago": jnp.where(
                spent.jumped < 0, jnp.nan, (spent.updates - spent.jumped).astype(jnp.float32)
            ),
        }
        known = spent.number > 0
        return rows, {
            **overall,
            **{name: jnp.where(known, value, jnp.nan) for name, value in costs.items()},
        }

    def findings(self, history: Iterable[Record], /) -> tuple[Finding, ...]:
        """What changed over the run for the worse, most severe first.

        ``history``: (update, seen) of one net, as ``writers.records`` or ``read_json_lines`` give
        them; what wasn't measured is left out.

        Raises:
          ValueError: as ``writers.to_dataset``; or the history is of several nets.
        """
        return judge_run(_judged(history))

    def scalars(self, seen: Statistics, /) -> dict[str, float]:
        """``writers.scalars``: a plain dict for any logger, empty where nothing was measured."""
        return scalars(seen)

    def page(self, history: Iterable[Record], /, *, name: str = "A training run") -> "RunPage":
        """The run as a page, with the findings.

        Raises:
          ValueError: as ``findings``.
        """
        from glorot_jax.diagnosis.reporting.run_page import RunPage

        records = list(history)
        return RunPage(to_dataset(records), judge_run(_judged(records)), name)


def watch(
    apply_fn: ApplyFn[Any],
    optimizer: optax.GradientTransformation | None = None,
    /,
    *,
    loss: Loss = cross_entropy,
    every: int = EVERY,
) -> Watch:
    """Watches a run of ``apply_fn(params, x) -> outputs`` from inside one's own jitted update.

        watch = gj.watch(apply_fn, optimizer, every=500)
        state = watch.init(params)
        ..
        state, seen = watch(state, params, grads, (x, y), opt_state=opt_state, cost=cost)

    Every ``every`` updates one more pass over the batch is made, forwards and backwards, and
    reduced in the program to a few numbers a site; between, nothing is done but counting. In a
    Python loop give ``due=watch.due(count)``, a static argument, so that there is one program with
    the measurement and one without.
    ``optimizer``: any optax transformation; without it nothing is known of steps. ``loss``: of
    outputs and y, one cost an example. Under ``vmap`` over nets, map neither ``state`` nor
    ``cost``: a mapped count measures at every update.

    Raises:
      ValueError: ``every`` is not a positive whole number, or optimizer is no optax transformation.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(f"every: {every!r} is not a positive whole number")
    if optimizer is not None and not hasattr(optimizer, "update"):
        kind = type(optimizer).__name__
        raise ValueError(f"optimizer: is of type {kind}, not an optax.GradientTransformation")
    return Watch(apply_fn, optimizer, loss, every)


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, tuple) or len(batch) != 2:
        raise ValueError(f"batch: is of type {type(batch).__name__}, not a tuple of x and y")
    return batch


def _with_cost(state: WatchState, cost: jax.Array | None) -> WatchState:
    if cost is None:
        return state
    if jnp.shape(cost):
        raise ValueError(f"cost: {list(jnp.shape(cost))} is not one number, the mean cost")
    cost = jnp.asarray(cost).astype(jnp.float32)
    # A cost that isn't finite is the largest, and stays it.
    size = jnp.where(jnp.isfinite(cost), cost, jnp.inf)
    larger = size > state.largest
    jumps = (size > JUMP * state.usual) & (state.jumped < 0)
    return state._replace(
        number=state.number + 1,
        total=state.total + cost,
        largest=jnp.where(larger, size, state.largest),
        at=jnp.where(larger, state.updates, state.at),
        jumped=jnp.where(jumps, state.updates, state.jumped),
    )


def _judged(history: Iterable[Record]) -> History:
    data = to_dataset(history)
    if "seed" in data.dims:
        raise ValueError(
            f"history: is of {data.sizes['seed']} nets; give that of one, "
            "jax.tree.map(lambda a: a[seed], seen)"
        )
    arrays: dict[str, np.ndarray] = {
        str(name): np.asarray(values.values, np.float64)
        for name, values in data.data_vars.items()
        if "quantile" not in values.dims
    }
    labels = tuple(str(site) for site in data.site.values)
    return History(np.asarray(data["update"].values), labels, arrays)
