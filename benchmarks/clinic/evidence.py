"""Train every case and its healthy twin, and so show that the truth is true.

    python -m benchmarks.clinic.evidence [--only NAME ...] [--json FILE]

A sick case must end 1.3 times above its twin or not finite; a healthy one below its goal.
"""

import argparse
import dataclasses
import functools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.clinic.cases import chosen_cases
from benchmarks.clinic.kit import Case, Model, Training

BATCH = 64
WORSE = 1.3  # times the twin's measure after the same training
BETTER = 0.7  # of a healthy case's measure at the start, where it has no goal
OPTIMIZERS = {"adam": optax.adam, "sgd": optax.sgd}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A measure before and after training; of several nets, the worst one's."""

    start: float
    end: float


@dataclasses.dataclass(frozen=True)
class Evidence:
    """A case's outcome, its twin's, and whether they show the truth."""

    name: str
    room: str
    truth: str
    source: str
    case: Outcome
    twin: Outcome | None
    shown: bool
    seconds: float


def trained(model: Model, training: Training) -> Outcome:
    """Mini-batches of 64 by the case's optimizer, the same ones for a case and its twin."""
    optimizer = OPTIMIZERS[training.optimizer](training.rate)

    def cost(params: Any, x: Any, y: Any) -> jax.Array:
        return jnp.mean(model.loss(model.apply_fn(params, x), y).astype(jnp.float32))

    def step(params: Any, state: Any, x: Any, y: Any) -> tuple[Any, Any]:
        grads = jax.tree.map(jnp.conj, jax.grad(cost)(params, x, y))
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    def measure(params: Any) -> jax.Array:
        if training.measure is None:
            return cost(params, model.x, model.y)
        return training.measure(model.apply_fn(params, model.x), model.y)

    nets = _identity if model.seeds is None else _over_nets
    step, init, measure = jax.jit(nets(step, 2)), nets(optimizer.init, 1), jax.jit(nets(measure, 1))
    size = len(jax.tree.leaves(model.x)[0])
    rng = np.random.default_rng(0)
    x, y = jax.tree.map(np.asarray, (model.x, model.y))
    params, state = model.params, init(model.params)
    start = _worst(measure(params))
    for _ in range(training.steps):
        rows = rng.permutation(size)[:BATCH]
        params, state = step(params, state, *jax.tree.map(lambda a, rows=rows: a[rows], (x, y)))
    return Outcome(start, _worst(measure(params)))


def _identity(function: Callable[..., Any], _: int) -> Callable[..., Any]:
    return function


def _over_nets(function: Callable[..., Any], mapped: int) -> Callable[..., Any]:
    """``function`` for each net: its first ``mapped`` arguments have an axis of nets."""

    @functools.wraps(function)
    def over(*args: Any) -> Any:
        return jax.vmap(lambda *own: function(*own, *args[mapped:]))(*args[:mapped])

    return over


def _worst(values: jax.Array) -> float:
    return float(np.max(np.asarray(values, np.float64)))  # a NaN wins


def shown(case: Case, outcome: Outcome, twin: Outcome | None) -> bool:
    """Whether training agrees with the truth."""
    if twin is not None:
        worse = not math.isfinite(outcome.end) or outcome.end > WORSE * twin.end
        return worse and math.isfinite(twin.end) and twin.end < twin.start
    goal = BETTER * outcome.start if case.training.goal is None else case.training.goal
    return math.isfinite(outcome.end) and outcome.end < goal


def gathered(case: Case) -> Evidence:
    """Train a case and its twin."""
    start = time.process_time()
    outcome = trained(case.build(), case.training)
    twin = None if case.twin is None else trained(case.twin(), case.training)
    seconds = time.process_time() - start
    agrees = shown(case, outcome, twin)
    return Evidence(case.name, case.room, case.truth, case.source, outcome, twin, agrees, seconds)


def markdown(rows: list[Evidence]) -> str:
    """The table of docs/clinic.md."""
    lines = [
        "| case | truth | source | before | after | healthy twin after |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        twin = "" if row.twin is None else f"{row.twin.end:.3g}"
        lines.append(
            f"| {row.name} | {row.truth} | {row.source} | {row.case.start:.3g}"
            f" | {row.case.end:.3g} | {twin} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these cases alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes there too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a table there")
    args = parser.parse_args()
    try:
        cases = chosen_cases(args.only)
    except ValueError as error:
        parser.error(str(error))
    rows = []
    for case in cases:
        row = gathered(case)
        rows.append(row)
        line = f"{row.name:28s} {row.truth:24.24s} {row.case.start:9.3g} -> {row.case.end:9.3g}"
        if row.twin is not None:
            line += f" | twin {row.twin.start:9.3g} -> {row.twin.end:9.3g}"
        print(f"{line}  [{row.seconds:.0f}s]{'' if row.shown else '  <-- NOT SHOWN'}", flush=True)
    print("not shown:", *([row.name for row in rows if not row.shown] or ["none"]))
    if args.json:
        args.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
    if args.markdown:
        args.markdown.write_text(markdown(rows) + "\n")


if __name__ == "__main__":
    main()
