"""A public transformer as it comes, watched through training and checked across widths.

    pip install 'transformers<5'
    python -m benchmarks.public_transformer

GPT-2 of Hugging Face's transformers, in Flax, with a readout of its own (tie_word_embeddings=False:
a kernel used twice can't start in two sizes). First it is trained under a watch, as usual and too
fast; then its coordinates are checked, with one rate for all, and again with what the faults say:
each initial kernel and rate times its power of the width.
"""

import argparse
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax
from transformers import FlaxGPT2LMHeadModel, GPT2Config

import glorot_jax as gj
from glorot_jax.diagnosis.judging.finding import NOTE

VOCABULARY, LENGTH, SENTENCES, LAYERS, HEAD = 64, 16, 64, 3, 16
BASE = 64  # the width at which nothing is scaled
RATE = 1e-3
OPTIMIZERS: Mapping[str, tuple[Callable[[float], Any], float]] = {
    "Adam": (optax.adam, RATE),
    "SGD": (optax.sgd, 0.1),
}


def gpt2(width: int) -> tuple[Callable[[jax.Array], Any], Callable[[Any, jax.Array], jax.Array]]:
    """Heads of 16 units, more of them the wider it is."""
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=LENGTH,
        n_embd=width,
        n_layer=LAYERS,
        n_head=width // HEAD,
        tie_word_embeddings=False,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    )
    model = FlaxGPT2LMHeadModel(config, _do_init=False, input_shape=(1, LENGTH))

    def apply_fn(params: Any, x: jax.Array) -> jax.Array:
        return model(x, params=params, train=False).logits

    return lambda key: model.init_weights(key, (1, LENGTH)), apply_fn


def cost(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """[n], over an example's tokens."""
    return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean(-1)


def sentences(key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """Random tokens; what is asked of each is one rule of its number."""
    x = jax.random.randint(key, (count, LENGTH), 0, VOCABULARY)
    return x, (3 * x + 1) % VOCABULARY


def watched(rate: float, updates: int) -> None:
    """Trains with Adam and prints what the watch says."""
    init, apply_fn = gpt2(BASE)
    optimizer = optax.adam(rate)
    watch = gj.watch(apply_fn, optimizer, loss=cost, every=10)
    kept = sentences(jax.random.key(1), SENTENCES)

    def mean_cost(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return cost(apply_fn(params, x), y).mean()

    @jax.jit
    def update(params: Any, opt_state: Any, state: Any, key: jax.Array) -> tuple[Any, ...]:
        found, grads = jax.value_and_grad(mean_cost)(params, *sentences(key, SENTENCES))
        state, seen = watch(state, params, grads, kept, opt_state=opt_state, cost=found)
        steps, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, steps), opt_state, state, seen

    params = init(jax.random.key(0))
    opt_state, state, history = optimizer.init(params), watch.init(params), []
    for count in range(updates):
        key = jax.random.fold_in(jax.random.key(2), count)
        params, opt_state, state, seen = update(params, opt_state, state, key)
        if watch.due(count):
            history.append((count, seen))
    costs = [float(seen.overall["loss"]) for _, seen in history]
    said = [finding for finding in watch.findings(history) if finding.severity != NOTE]
    print(f"\nAdam, rate {rate:g}, {updates} updates: cost {costs[0]:.3g} -> {costs[-1]:.3g}")
    print("\n".join(map(str, said)) or "no finding but notes")


def check(name: str, widths: tuple[int, ...], seeds: int, powers: Mapping[Any, float]) -> Any:
    """The coordinate check, with each scale and rate times its power of width over ``BASE``."""
    make_optimizer, rate = OPTIMIZERS[name]

    def factor(kind: str, path: Any, width: int) -> float:
        site = jax.tree_util.keystr(path, simple=True, separator="/")
        return (width / BASE) ** powers.get((site, kind), 0.0)

    def make(width: int) -> tuple[Any, Any]:
        init, apply_fn = gpt2(width)

        def scaled(key: jax.Array) -> Any:
            return jax.tree_util.tree_map_with_path(
                lambda path, leaf: leaf * factor("initial scale", path, width), init(key)
            )

        return scaled, apply_fn

    def optimizer(width: int) -> optax.GradientTransformation:
        def by_rate(params: Any) -> Any:
            return jax.tree_util.tree_map_with_path(
                lambda path, _: str(factor("learning rate", path, width)), params
            )

        factors = {(width / BASE) ** power for power in (0.0, *powers.values())}
        each = {str(one): make_optimizer(rate * one) for one in factors}
        return optax.multi_transform(each, by_rate)

    x, y = sentences(jax.random.key(3), 16)
    return gj.coordinate_check(
        make, widths, x=x, y=y, loss=cost, optimizer=optimizer, seeds=seeds, steps=3
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=400)
    parser.add_argument("--widths", type=int, nargs="+", default=(64, 128, 256))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=4, help="of checking and mending, at most")
    options = parser.parse_args()
    for rate in (RATE, 100 * RATE):
        watched(rate, options.updates)
    for name in OPTIMIZERS:
        powers: dict[Any, float] = {}
        for turn in range(options.turns):
            found = check(name, tuple(options.widths), options.seeds, powers)
            print(f"\n{name}, mended {turn} times\n\n{found}", flush=True)
            for fault in found.faults:
                if not math.isnan(fault.power):
                    of = (fault.site, fault.kind)
                    powers[of] = powers.get(of, 0.0) + fault.power
            if found.level:
                break


if __name__ == "__main__":
    main()
