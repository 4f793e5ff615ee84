"""What watching a run costs: an update with `gj.watch` beside the same update without.

    python -m benchmarks.watch

The paper's 5 x 1000 net with plain SGD and a transformer with Adam, trained by a Python loop over
one's own jitted update, and by one scan. "outside": `due` is a static argument, so the updates
between are a program without the watch's measurement. "inside": the program decides by its count.
All programs of a case take turns; seconds are of a clock, so nothing else should run.
"""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

import glorot_jax as gj
from benchmarks.models import Case, gpt, plain
from benchmarks.timing import interleaved, markdown
from glorot_jax.losses import cross_entropy

PLAIN, SCAN = "without a watch", "scan without a watch"
BETWEEN, DUE = "outside, not due", "outside, due"
INSIDE, INSIDE_DUE = "inside, not due", "inside, due"
INSIDE_SCAN = "inside a scan, not due"
HEADER = ["", "update, ms", "not due", "due", "every={}: all of it"]


def tokens_cost(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """Of a language model: the mean over each example's tokens."""
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, y), axis=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--updates", type=int, nargs=2, default=(100, 4), help="of a turn")
    parser.add_argument("--depth", type=int, default=12, help="of the transformer")
    parser.add_argument("--width", type=int, default=128, help="of the transformer")
    options = parser.parse_args()
    cases = {
        "5 x 1000, mini-batch 10": (plain(10), optax.sgd(0.01), cross_entropy),
        f"transformer, {options.depth} x {options.width}, 4 x 128 tokens": (
            gpt(4, depth=options.depth, width=options.width, heads=4),
            optax.adam(1e-3),
            tokens_cost,
        ),
    }
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}, {os.cpu_count()} cores.\n")
    rows = []
    for (name, case), updates in zip(cases.items(), options.updates, strict=True):
        rows += _rows(name, *case, updates, options)
    print(markdown([title.format(options.every) for title in HEADER], rows))


def _rows(
    name: str, case: Case, optimizer: Any, loss: Any, updates: int, options: argparse.Namespace
) -> list[list[str]]:
    watch = gj.watch(case.apply_fn, optimizer, loss=loss, every=options.every)
    start = case.params, optimizer.init(case.params), watch.init(case.params)
    waiting = (*start[:2], start[2]._replace(updates=jnp.int32(1)))
    update = partial(_update, case, optimizer, loss)
    contenders = {
        PLAIN: _loop(update(None), waiting, updates),
        BETWEEN: _loop(update(watch, due=False), waiting, updates),
        DUE: _loop(update(watch, due=True), waiting, updates),
        INSIDE: _loop(update(watch), waiting, updates),
        # Due at each: the count stays at 0.
        INSIDE_DUE: _loop(_always(update(watch)), start, updates),
        SCAN: _scan(update(None), waiting, updates),
        INSIDE_SCAN: _scan(update(watch), waiting, updates),
    }
    times = interleaved(contenders, repeats=options.repeats, seconds=0)

    def row(title: str, plain: str, between: str, due: str | None) -> list[str]:
        idle = 1 / times.ratio(between, plain)
        cells = [f"{name}, {title}", f"{1e3 * times.median(plain) / updates:.2f}", f"{idle:.3f}"]
        if due is None:
            return [*cells, "", f"{idle - 1:.2%}"]
        measured = 1 / times.ratio(due, plain)
        every = options.every
        return [
            *cells,
            f"{measured:.1f}",
            f"{(idle * (every - 1) + measured) / every - 1:.2%}",
        ]

    return [
        row("outside", PLAIN, BETWEEN, DUE),
        row("inside", PLAIN, INSIDE, INSIDE_DUE),
        row("inside a scan", SCAN, INSIDE_SCAN, None),
    ]


def _update(
    case: Case, optimizer: Any, loss: Any, watch: Any, *, due: bool | None = None
) -> Callable[[Any], Any]:
    batch = case.x, case.y

    def mean_cost(params: Any) -> jax.Array:
        return jnp.mean(loss(case.apply_fn(params, case.x), case.y))

    def update(carry: Any) -> Any:
        params, opt_state, state = carry
        seen, grads = jax.value_and_grad(mean_cost)(params)
        if watch is not None:
            state, seen = watch(
                state, params, grads, batch, opt_state=opt_state, cost=seen, due=due
            )
        steps, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, steps), opt_state, state), seen

    return update


def _always(update: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def due(carry: Any) -> Any:
        (params, opt_state, _), seen = update(carry)
        return (params, opt_state, carry[2]), seen

    return due


def _loop(update: Callable[[Any], Any], carry: Any, updates: int) -> Callable[[int], float]:
    """By a Python loop over the jitted update, which is given its arguments to use again."""
    return _timed(jax.jit(update, donate_argnums=0), carry, updates)


def _scan(update: Callable[[Any], Any], carry: Any, updates: int) -> Callable[[int], float]:
    def block(carry: Any) -> Any:
        return jax.lax.scan(lambda c, _: update(c), carry, length=updates)

    return _timed(jax.jit(block, donate_argnums=0), carry, 1)


def _timed(program: Callable[[Any], Any], carry: Any, times: int) -> Callable[[int], float]:
    carry = jax.tree.map(jnp.copy, carry)

    def run(calls: int) -> float:
        nonlocal carry
        start = time.perf_counter()
        for _ in range(calls * times):
            carry, _ = program(carry)
        jax.block_until_ready(carry)
        return time.perf_counter() - start

    return run


if __name__ == "__main__":
    main()
