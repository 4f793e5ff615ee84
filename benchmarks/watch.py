"""What watching a run costs: an update with `gj.watch` beside the same update without.

    python -m benchmarks.watch

One update of the paper's 5 x 1000 net, mini-batch 10, plain SGD, and one of a transformer language
model with Adam: without a watch, with one that isn't due, and with one that is. From the three
follows the watch's share of training. Of the 5 x 1000 net a block of `--every` updates in one scan
is timed too.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import glorot_jax as gj
from benchmarks.models import Case, gpt, plain
from benchmarks.timing import interleaved, markdown
from glorot_jax.losses import cross_entropy

PLAIN, IDLE, DUE = "update", "watched, not due", "watched, due"
BLOCK, WATCHED_BLOCK = "block", "watched block"
HEADER = ["", "update, ms", "not due", "due", "of training at every={}"]


def tokens_cost(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """Of a language model: the mean over each example's tokens."""
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, y), axis=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--depth", type=int, default=12, help="of the transformer")
    parser.add_argument("--width", type=int, default=128, help="of the transformer")
    parser.add_argument("--no-block", action="store_true", help="single updates alone")
    options = parser.parse_args()
    cases = {
        "5 x 1000, mini-batch 10": (plain(10), optax.sgd(0.01), cross_entropy),
        f"transformer, {options.depth} x {options.width}, 4 x 128 tokens": (
            gpt(4, depth=options.depth, width=options.width, heads=4),
            optax.adam(1e-3),
            tokens_cost,
        ),
    }
    rows = [_row(name, *case, options) for name, case in cases.items()]
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}, {os.cpu_count()} cores.\n")
    print(markdown([title.format(options.every) for title in HEADER], rows))
    if not options.no_block:
        print(f"\n{_block(*cases['5 x 1000, mini-batch 10'], options)}")


def _row(
    name: str, case: Case, optimizer: Any, loss: Any, options: argparse.Namespace
) -> list[str]:
    watch = gj.watch(case.apply_fn, optimizer, loss=loss, every=options.every)
    carry = case.params, optimizer.init(case.params), watch.init(case.params)
    waiting = (*carry[:2], carry[2]._replace(updates=jnp.int32(1)))
    alone, watched = (jax.jit(_update(case, optimizer, loss, each)) for each in (None, watch))
    times = interleaved(
        {
            PLAIN: _timed(lambda: alone(carry)),
            IDLE: _timed(lambda: watched(waiting)),
            DUE: _timed(lambda: watched(carry)),
        },
        repeats=options.repeats,
        seconds=options.seconds,
    )
    idle, due = (1 / times.ratio(each, PLAIN) for each in (IDLE, DUE))
    share = (due - 1 + (options.every - 1) * (idle - 1)) / options.every
    milliseconds = f"{1e3 * times.median(PLAIN):.1f}"
    return [name, milliseconds, f"{idle:.3f}", f"{due:.2f}", f"{share:.2%}"]


def _update(case: Case, optimizer: Any, loss: Any, watch: Any) -> Callable[[Any], Any]:
    batch = case.x, case.y

    def mean_cost(params: Any) -> jax.Array:
        return jnp.mean(loss(case.apply_fn(params, case.x), case.y))

    def update(carry: Any) -> Any:
        params, opt_state, state = carry
        cost, grads = jax.value_and_grad(mean_cost)(params)
        seen = cost
        if watch is not None:
            state, seen = watch(state, params, grads, batch, opt_state=opt_state, cost=cost)
        steps, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, steps), opt_state, state), seen

    return update


def _block(case: Case, optimizer: Any, loss: Any, options: argparse.Namespace) -> str:
    """``every`` updates in one scan, one of them measured."""
    watch = gj.watch(case.apply_fn, optimizer, loss=loss, every=options.every)
    carry = case.params, optimizer.init(case.params), watch.init(case.params)
    contenders = {}
    for name, each in ((BLOCK, None), (WATCHED_BLOCK, watch)):
        update = _update(case, optimizer, loss, each)

        def block(carry: Any, update: Any = update) -> Any:
            return jax.lax.scan(lambda c, _: update(c), carry, length=options.every)

        compiled = jax.jit(block)
        contenders[name] = _timed(lambda run=compiled: run(carry))
    times = interleaved(contenders, repeats=max(3, options.repeats // 2), seconds=0)
    ratio = 1 / times.ratio(WATCHED_BLOCK, BLOCK)
    return (
        f"A block of {options.every} updates of 5 x 1000 in one scan: {times.median(BLOCK):.2f} s, "
        f"watched {ratio:.3f} times as long."
    )


def _timed(call: Callable[[], object]) -> Callable[[int], float]:
    def run(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            jax.block_until_ready(call())
        return time.perf_counter() - start

    return run


if __name__ == "__main__":
    main()
