"""What watching a run costs: an update with `gj.watch` beside the same update without.

    python -m benchmarks.watch

Blocks of updates in one scan, of the paper's 5 x 1000 net with plain SGD and of a transformer with
Adam: without a watch, with one that is never due, and with one that is due once. "grads given" has
the gradient handed to the watch, the others have None. Times are those of all cores together, which
other programs on the machine hardly change.
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

PLAIN = "update"
IDLE, DUE = (
    {given: f"{name}, {given}" for given in (False, True)} for name in ("not due", "due once")
)
HEADER = [
    *("", "update, ms", "watched, not due", "a measurement, in updates"),
    *("measurements at every={}", "all of it"),
]


def tokens_cost(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """Of a language model: the mean over each example's tokens."""
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, y), axis=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--updates", type=int, nargs=2, default=(200, 4), help="of a block")
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
    carry = case.params, optimizer.init(case.params), watch.init(case.params)
    waiting = (*carry[:2], carry[2]._replace(updates=jnp.int32(1)))
    contenders = {PLAIN: _timed(_block(_update(case, optimizer, loss, None), updates), carry)}
    for given in (False, True):
        block = _block(_update(case, optimizer, loss, watch, given_grads=given), updates)
        contenders[IDLE[given]] = _timed(block, waiting)
        contenders[DUE[given]] = _timed(block, carry)
    times = interleaved(contenders, repeats=options.repeats, seconds=0)
    rows = []
    for given in (False, True):
        idle, due = (1 / times.ratio(each, PLAIN) for each in (IDLE[given], DUE[given]))
        measured = (due - idle) * updates
        share = idle - 1 + measured / options.every
        rows.append(
            [
                f"{name}{', grads given' if given else ''}",
                f"{1e3 * times.median(PLAIN) / updates:.1f}",
                f"{idle:.3f}",
                f"{measured:.1f}",
                f"{measured / options.every:.2%}",
                f"{share:.2%}",
            ]
        )
    return rows


def _block(update: Callable[[Any], Any], updates: int) -> Callable[[Any], Any]:
    """``updates`` of them in one scan."""
    return jax.jit(lambda carry: jax.lax.scan(lambda c, _: update(c), carry, length=updates))


def _update(
    case: Case, optimizer: Any, loss: Any, watch: Any, *, given_grads: bool = False
) -> Callable[[Any], Any]:
    batch = case.x, case.y

    def mean_cost(params: Any) -> jax.Array:
        return jnp.mean(loss(case.apply_fn(params, case.x), case.y))

    def update(carry: Any) -> Any:
        params, opt_state, state = carry
        cost, grads = jax.value_and_grad(mean_cost)(params)
        seen = cost
        if watch is not None:
            given = grads if given_grads else None
            state, seen = watch(state, params, given, batch, opt_state=opt_state, cost=cost)
        steps, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, steps), opt_state, state), seen

    return update


def _timed(block: Callable[[Any], Any], carry: Any) -> Callable[[int], float]:
    def run(calls: int) -> float:
        start = time.process_time()
        for _ in range(calls):
            jax.block_until_ready(block(carry))
        return time.process_time() - start

    return run


if __name__ == "__main__":
    main()
