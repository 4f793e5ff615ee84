"""Choices inside a model: routers, rounding, and the choice of a seed."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.clinic.data import table
from benchmarks.clinic.kit import Model, Training, healthy, sick, squared_error
from benchmarks.clinic.nets import KEY, dense_stack, gaussian, run_stack

NO_GRADIENT = ("no gradient", "gradient of 0", "gradient of exactly 0", "gets no", "never")


def _experts(route, bias: float = 0.0) -> Model:
    """Four experts, each right for a quarter of the examples; ``route`` from scores to weights."""
    rng = np.random.default_rng(12)
    n, width, experts = 400, 16, 4
    part = rng.integers(0, experts, n)
    x = rng.normal(size=(n, width))
    x[:, :experts] += 4 * np.eye(experts)[part]
    y = np.einsum("nd,ndk->nk", x, rng.normal(size=(experts, width, 6))[part]).argmax(-1)
    params = {
        "router": gaussian(0, width, experts),
        "router_bias": jnp.zeros(experts).at[1].set(bias),
        "w1": gaussian(1, experts, width, 8, gain=2**0.5),
        "w2": gaussian(2, experts, 8, 6),
    }

    def net(p, x):
        weight = route(jax.nn.softmax(x @ p["router"] + p["router_bias"]))
        hidden = jax.nn.relu(jnp.einsum("nd,edh->neh", x, p["w1"]))
        return jnp.einsum("neh,ehk,ne->nk", hidden, p["w2"], weight)

    return Model(net, params, jnp.asarray(x, jnp.float32), jnp.asarray(y))


def _best_only(gates: jax.Array) -> jax.Array:
    return jax.nn.one_hot(jnp.argmax(gates, -1), gates.shape[-1])


def _best_two(gates: jax.Array) -> jax.Array:
    best, index = jax.lax.top_k(gates, 2)
    share = best / best.sum(-1, keepdims=True)
    return (jax.nn.one_hot(index, gates.shape[-1]) * share[..., None]).sum(1)


@sick(
    "router without gradient",
    ("argmax", *NO_GRADIENT),
    lambda: _experts(_best_two),
    site="router",
    source="issue thread",
    training=Training(steps=800),
)
def router_by_argmax() -> Model:
    """The router picks an expert by argmax and its gate multiplies nothing: it never gets a
    gradient. Multiply the expert's output by the gate."""
    return _experts(_best_only)


@healthy(source="paper", training=Training(steps=800))
def router_best_two() -> Model:
    """The best two of four experts, weighted by their gates."""
    return _experts(_best_two)


@sick(
    "router collapsed",
    ("expert", "router", "one-hot", "entropy", "softmax", "saturat", *NO_GRADIENT),
    lambda: _experts(_best_two),
    site="router",
    source="issue thread",
    training=Training(steps=800),
)
def router_sends_all_to_one() -> Model:
    """A bias of 30 sends every example to one expert: the others get neither examples nor gradient,
    and the softmax passes none to the router. Start it at 0, or balance the load."""
    return _experts(_best_two, bias=30.0)


def _codes(straight: bool) -> Model:
    x, _ = table("digits", 256)
    params = {"encoder": dense_stack([64, 64, 12]), "decoder": dense_stack([12, 64, 64])}

    def net(p, x):
        code = 2 * jnp.tanh(run_stack(p["encoder"], x, jax.nn.gelu))
        whole = jnp.round(code)
        if straight:
            whole = code + jax.lax.stop_gradient(whole - code)
        return run_stack(p["decoder"], whole, jax.nn.gelu)

    return Model(net, params, x, x, squared_error)


@sick(
    "gradient cut by rounding",
    ("round", "argmax", "cut", *NO_GRADIENT),
    lambda: _codes(True),
    site="encoder",
    source="issue thread",
    training=Training(rate=2e-3, steps=500),
)
def codes_rounded() -> Model:
    """An autoencoder whose code is rounded, which has no gradient: the encoder never learns. Pass
    the gradient straight through the rounding."""
    return _codes(False)


@healthy(source="paper", training=Training(rate=2e-3))
def codes_rounded_straight_through() -> Model:
    """The same with the gradient passed straight through."""
    return _codes(True)


def _vector_quantised() -> Model:
    x, _ = table("digits", 256)
    params = {
        "book": jax.random.uniform(KEY, (32, 8), minval=-1 / 32, maxval=1 / 32),
        "decoder": dense_stack([8, 64, 64]),
        "encoder": dense_stack([64, 64, 8]),
    }

    def net(p, x):
        code = run_stack(p["encoder"], x, jax.nn.gelu)
        nearest = jnp.square(code[:, None] - p["book"]).sum(-1).argmin(-1)
        word = p["book"][nearest]
        straight = code + jax.lax.stop_gradient(word - code)
        return {
            "code": code,
            "output": run_stack(p["decoder"], straight, jax.nn.gelu),
            "word": word,
        }

    def loss(out, x):
        still = jax.lax.stop_gradient
        commitment = squared_error(out["code"], still(out["word"]))
        book = squared_error(still(out["code"]), out["word"])
        return squared_error(out["output"], x) + book + 0.25 * commitment

    return Model(net, params, x, x, loss)


def _unexplained(out: dict, x: jax.Array) -> jax.Array:
    return jnp.square(out["output"] - x).mean()


@healthy(source="paper", training=Training(rate=2e-3, steps=500, measure=_unexplained))
def codes_from_a_book() -> Model:
    """Vector quantisation as published: straight-through codes, three terms of loss, three
    outputs, stop_gradient in two of them."""
    return _vector_quantised()


def _nets(count: int, change=lambda params: params) -> Model:
    x, y = table("digits", 200)
    sizes = [64] + [48] * 6 + [10]
    single = dense_stack(sizes, 2**0.5)

    def drawn(key: jax.Array) -> dict:
        leaves, tree = jax.tree.flatten(single)
        keys = jax.random.split(key, len(leaves))
        new = [
            (2 / a.shape[0]) ** 0.5 * jax.random.normal(k, a.shape) if a.ndim == 2 else a
            for k, a in zip(keys, leaves, strict=True)
        ]
        return tree.unflatten(new)

    params = change(jax.jit(jax.vmap(drawn))(jax.random.split(KEY, count)))
    return Model(lambda p, x: run_stack(p, x, jax.nn.relu), params, x, y, seeds=count)


def _one_of(words: tuple[str, ...], net: int, count: int) -> tuple[str, ...]:
    shares = (f"1 of {count}", f"one of {count}", f"of the {count}", f"one of the {count}")
    return (f"net {net}", f"seed {net}", f"nets {net}", f"seeds {net}", *shares, *words)


@sick(
    "one net of eight dead",
    _one_of(("one of eight", *NO_GRADIENT, "no signal"), 3, 8),
    lambda: _nets(8),
    site="layer_03",
    source="issue thread",
    training=Training("sgd", 0.02),
)
def ensemble_one_of_eight_dead() -> Model:
    """Of eight nets number 3 has biases of -40 in its fourth layer: it never trains, and means over
    the nets hide it. Draw that net again."""

    def change(params: dict) -> dict:
        layer = params["layer_03"]
        return {**params, "layer_03": {**layer, "b": layer["b"].at[3].set(-40.0)}}

    return _nets(8, change)


@healthy(source="documentation", training=Training("sgd", 0.02))
def ensemble_of_eight() -> Model:
    """Eight nets of six relu layers, all drawn alike."""
    return _nets(8)


@sick(
    "one net of five explodes",
    _one_of(("one of five",), 1, 5),
    lambda: _nets(5),
    source="issue thread",
    training=Training("sgd", 0.02),
)
def ensemble_one_of_five_explodes() -> Model:
    """Of five nets number 1 was restored from a run that had diverged, its kernels three times too
    large: its signal grows threefold a layer. Draw that net again."""

    def change(params: dict) -> dict:
        return jax.tree.map(lambda a: a.at[1].multiply(3.0), params)

    return _nets(5, change)
