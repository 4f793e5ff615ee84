"""Small models in every style, with the sites that a reader of them would name."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import nnx

from glorot_jax.diagnosis import Traced, trace
from glorot_jax.network import MLP, init, logits

N, INPUTS, CLASSES, WIDTH = 6, 5, 3, 4


class Model(NamedTuple):
    """``sites``: kind by name; ``unreached``: the names something is said of."""

    apply: Callable[[Any, Any], jax.Array]
    params: Any
    x: Any
    sites: dict[str, str]
    unreached: tuple[str, ...] = ()


def labels(seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(CLASSES, size=N, dtype=np.int32))


def examples(*shape):
    return _normal(1, N, *(shape or (INPUTS,)))


def _normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(0, 0.6, shape).astype(np.float32))


def _ends(**between):
    """An input and an output layer with biases, and what is between them."""
    return {
        "first": {"w": _normal(2, INPUTS, WIDTH), "b": _normal(3, WIDTH)},
        "last": {"w": _normal(4, WIDTH, CLASSES), "b": _normal(5, CLASSES)},
        **between,
    }


def _dense(layer, z):
    return z @ layer["w"] + layer["b"][None]


_ENDS = {"first/w": "dense", "last/w": "dense"}
_ONE = {"first/w": "dense", "middle/w": "dense", "last/w": "dense"}


def _around(middle, params=None, sites=None, unreached=()):
    """A model that does ``middle(params, h)`` between two layers."""

    def apply(params, x):
        return _dense(params["last"], middle(params, jnp.tanh(_dense(params["first"], x))))

    params = {"w": _normal(6, WIDTH, WIDTH), "b": _normal(7, WIDTH)} if params is None else params
    return Model(apply, _ends(middle=params), examples(), sites or _ONE, unreached)


def plain_mlp():
    return _around(lambda p, h: jnp.tanh(_dense(p["middle"], h)))


def jitted():
    inner = jax.jit(lambda layer, h: jax.jit(jnp.tanh)(_dense(layer, h)))
    return _around(lambda p, h: inner(p["middle"], h))


def product_and_bias_in_two_jits():
    dot, add = jax.jit(jnp.dot), jax.jit(lambda s, b: s + b[None])
    return _around(lambda p, h: jnp.tanh(add(dot(h, p["middle"]["w"]), p["middle"]["b"])))


def remat():
    inner = jax.checkpoint(lambda layer, h: jnp.tanh(_dense(layer, h)))
    return _around(lambda p, h: inner(p["middle"], h))


def relu():
    return _around(lambda p, h: jax.nn.relu(_dense(p["middle"], h)))


def gelu():
    return _around(lambda p, h: jax.nn.gelu(_dense(p["middle"], h)))


def silu_gate():
    return _around(lambda p, h: jax.nn.silu(_dense(p["middle"], h)) * h)


@jax.custom_vjp
def _sinh_with_a_flat_gradient(s):
    return jnp.sinh(s)


_sinh_with_a_flat_gradient.defvjp(lambda s: (jnp.sinh(s), s), lambda s, d: (0.5 * d,))


def activation_with_its_own_gradient():
    return _around(lambda p, h: _sinh_with_a_flat_gradient(_dense(p["middle"], h)))


@jax.custom_jvp
def _own_jvp(w, h):
    return jnp.tanh(h @ w)


@_own_jvp.defjvp
def _(primals, tangents):
    (w, h), (dw, dh) = primals, tangents
    return _own_jvp(w, h), 0.5 * (h @ dw) + dh @ w


def custom_jvp():
    return _around(lambda p, h: _own_jvp(p["middle"]["w"], h), unreached=("middle/b", "middle/w"))


@jax.custom_vjp
def _own_vjp(w, h):
    return jnp.tanh(h @ w)


_own_vjp.defvjp(
    lambda w, h: (_own_vjp(w, h), (w, h)), lambda kept, d: (0.5 * kept[1].T @ d, d @ kept[0].T)
)


def custom_vjp():
    return _around(lambda p, h: _own_vjp(p["middle"]["w"], h), unreached=("middle/b", "middle/w"))


def vmapped():
    def one(params, x):
        h = jnp.tanh(params["first"]["w"].T @ x + params["first"]["b"])
        return params["last"]["w"].T @ h + params["last"]["b"]

    return Model(lambda p, x: jax.vmap(one, in_axes=(None, 0))(p, x), _ends(), examples(), _ENDS)


def vmapped_experts():
    """Three kernels side by side, each with the whole signal; their mean goes on."""

    def middle(params, h):
        each = jax.vmap(lambda w: jnp.tanh(h @ w))(params["middle"]["w"])
        return jnp.mean(each, axis=0)

    return _around(middle, {"w": _normal(6, 3, WIDTH, WIDTH)})


def _stack(depth):
    return {"w": _normal(8, depth, WIDTH, WIDTH), "b": _normal(9, depth, WIDTH)}


def scanned(depth=64):
    def middle(params, h):
        def body(h, layer):
            return jnp.tanh(_dense(layer, h)), None

        return jax.lax.scan(body, h, params["middle"])[0]

    return _around(middle, _stack(depth))


def scanned_remat():
    def middle(params, h):
        @jax.checkpoint
        def body(h, layer):
            return jax.nn.relu(_dense(layer, h)), jnp.sum(h)

        return jax.lax.scan(body, h, params["middle"], unroll=2, reverse=True)[0]

    return _around(middle, _stack(4))


def recurrent():
    """One kernel at every step, with an input of its own."""

    def apply(params, x):
        def body(h, x):
            return jnp.tanh(_dense(params["middle"], h) + x @ params["first"]["w"]), None

        steps = jnp.moveaxis(x, 1, 0)
        h = jax.lax.scan(body, jnp.zeros((x.shape[0], WIDTH)), steps)[0]
        return _dense(params["last"], h)

    params = _ends(middle={"w": _normal(6, WIDTH, WIDTH), "b": _normal(7, WIDTH)})
    del params["first"]["b"]
    return Model(apply, params, examples(4, INPUTS), _ONE)


def nested_scans():
    """Two groups of three layers, and a kernel that a whole group shares."""

    def middle(params, h):
        def group(h, layers):
            def layer(h, w):
                return jnp.tanh(h @ w + h @ layers["shared"]), None

            return jax.lax.scan(layer, h, layers["own"])[0], None

        return jax.lax.scan(group, h, params["middle"])[0]

    params = {"own": _normal(6, 2, 3, WIDTH, WIDTH), "shared": _normal(7, 2, WIDTH, WIDTH)}
    sites = {**_ENDS, "middle/own": "dense", "middle/shared": "dense"}
    return _around(middle, params, sites)


def _branches(choose):
    def middle(params, h):
        def left(h):
            return jnp.tanh(h @ params["middle"]["left"])

        def right(h):
            return jax.nn.relu(h @ params["middle"]["right"] - 0.1)

        return jax.lax.cond(choose(h), left, right, h)

    params = {"left": _normal(6, WIDTH, WIDTH), "right": _normal(7, WIDTH, WIDTH)}
    sites = {**_ENDS, "middle/left": "dense", "middle/right": "dense"}
    return _around(middle, params, sites, ("middle/left", "middle/right"))


def cond():
    return _branches(lambda h: jnp.sum(jnp.abs(h)) > 0)


def cond_in_scan():
    """Even steps go through one kernel, odd steps through none."""

    def middle(params, h):
        def body(h, step):
            w, index = step
            return jax.lax.cond(index % 2 == 0, lambda: jnp.tanh(h @ w), lambda: h), None

        return jax.lax.scan(body, h, (params["middle"]["w"], jnp.arange(4)))[0]

    return _around(middle, {"w": _normal(6, 4, WIDTH, WIDTH)}, unreached=("middle/w",))


def while_loop():
    """Forward only: JAX has no gradient through a while."""

    def middle(params, h):
        w = params["middle"]["w"]
        stopped = jax.lax.stop_gradient((h, w))
        h, _ = jax.lax.while_loop(
            lambda state: jnp.sum(jnp.square(state[0])) > 1e-3,
            lambda state: (0.5 * jnp.tanh(state[0] @ state[1]), state[1]),
            stopped,
        )
        return h

    return _around(middle, {"w": _normal(6, WIDTH, WIDTH)}, _ONE, ("middle/w",))


def tied():
    sites = {"first/w": "dense", "middle/w": "dense", "middle/w #2": "dense", "last/w": "dense"}

    def middle(params, h):
        w = params["middle"]["w"]
        return jnp.tanh(jnp.tanh(h @ w) @ w.T)

    return _around(middle, {"w": _normal(6, WIDTH, WIDTH)}, sites)


def weight_norm():
    """The kernel is made of two parameters."""

    def middle(params, h):
        v, g = params["middle"]["v"], params["middle"]["g"]
        return jnp.tanh(h @ (v * (g / jnp.linalg.norm(v, axis=0))[None]))

    params = {"v": _normal(6, WIDTH, WIDTH), "g": _normal(7, WIDTH)}
    return _around(middle, params, {**_ENDS, "middle/g+middle/v": "dense"})


def embedding():
    """Token ids in; a table, positions that are only added, a dense layer over all tokens."""

    def apply(params, tokens):
        h = jnp.take(params["table"], tokens, axis=0) + params["positions"][None]
        h = jax.nn.gelu(jnp.einsum("ntd,df->ntf", h, params["w"]))
        return jnp.mean(h, axis=1) @ params["out"]

    params = {
        "table": _normal(6, 11, WIDTH),
        "positions": _normal(7, 3, WIDTH),
        "w": _normal(8, WIDTH, 7),
        "out": _normal(9, 7, CLASSES),
    }
    tokens = jnp.asarray(np.random.default_rng(0).integers(11, size=(N, 3), dtype=np.int32))
    return Model(apply, params, tokens, {"table": "embedding", "w": "dense", "out": "dense"})


def linen_mlp():
    model = MLP((7, 6), CLASSES)
    params = init(model, jax.random.key(0), INPUTS)
    sites = {f"{name}/kernel": "dense" for name in ("hidden_01", "hidden_02", "output")}
    return Model(lambda p, x: logits(model, p, x), params, examples(), sites)


class _AttentiveCNN(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), name="conv")(x))
        x = nn.relu(nn.Conv(8, (3, 3), strides=2, feature_group_count=2, name="grouped")(x))
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        x = x + nn.MultiHeadDotProductAttention(2, name="attention")(nn.LayerNorm(name="norm")(x))
        return nn.Dense(CLASSES, name="head")(jnp.mean(x, axis=1))


def linen_cnn_with_attention():
    model, x = _AttentiveCNN(), examples(4, 4, 2)
    params = jax.jit(model.init)(jax.random.key(0), x)
    sites = {"conv": "convolution", "grouped": "convolution", "head": "dense"}
    sites |= {f"attention/{name}": "dense" for name in ("query", "key", "value", "out")}
    return Model(
        model.apply, params, x, {f"params/{name}/kernel": kind for name, kind in sites.items()}
    )


class _LinenBlock(nn.Module):
    @nn.compact
    def __call__(self, h, _):
        return h + nn.gelu(nn.Dense(WIDTH, name="dense")(h)), None


class _LinenScan(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.Dense(WIDTH, name="first")(x)
        split, axes = {"params": True}, {"params": 0}
        blocks = nn.scan(nn.remat(_LinenBlock), variable_axes=axes, split_rngs=split, length=5)
        h, _ = blocks(name="blocks")(h, None)
        return nn.Dense(CLASSES, name="last")(h)


def linen_scan_of_remat():
    model = _LinenScan()
    params = jax.jit(model.init)(jax.random.key(0), examples())
    names = ("first", "blocks/dense", "last")
    return Model(
        model.apply, params, examples(), {f"params/{name}/kernel": "dense" for name in names}
    )


class _Block(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.up = nnx.Linear(WIDTH, 2 * WIDTH, rngs=rngs)
        self.down = nnx.Linear(2 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, h):
        return h + self.down(nnx.relu(self.up(self.norm(h))))


class _Stack(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(INPUTS, WIDTH, rngs=rngs)
        self.blocks = nnx.List([_Block(rngs) for _ in range(2)])
        self.last = nnx.Linear(WIDTH, CLASSES, rngs=rngs)

    def __call__(self, x):
        h = self.first(x)
        for block in self.blocks:
            h = block(h)
        return self.last(h)


def nnx_blocks():
    graph, params = nnx.split(_Stack(nnx.Rngs(0)))
    names = ("first", "last", *(f"blocks/{i}/{name}" for i in range(2) for name in ("up", "down")))
    sites = {f"{name}/kernel": "dense" for name in names}
    return Model(lambda p, x: nnx.merge(graph, p)(x), params, examples(), sites)


def equinox_mlp():
    import equinox as eqx

    whole = eqx.nn.MLP(INPUTS, CLASSES, WIDTH, 2, key=jax.random.key(0))
    params, static = eqx.partition(whole, eqx.is_inexact_array)
    sites = {f"layers/{i}/weight": "dense" for i in range(3)}
    return Model(lambda p, x: jax.vmap(eqx.combine(p, static))(x), params, examples(), sites)


def haiku_mlp():
    import haiku as hk

    model = hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP([WIDTH, CLASSES])(x)))
    params = jax.jit(model.init)(jax.random.key(0), examples())
    sites = {f"mlp/~/linear_{i}/w": "dense" for i in range(2)}
    return Model(model.apply, params, examples(), sites)


MODELS = {
    make.__name__: make
    for make in (
        plain_mlp,
        jitted,
        product_and_bias_in_two_jits,
        remat,
        relu,
        gelu,
        silu_gate,
        activation_with_its_own_gradient,
        custom_jvp,
        custom_vjp,
        vmapped,
        vmapped_experts,
        scanned,
        scanned_remat,
        recurrent,
        nested_scans,
        cond,
        cond_in_scan,
        while_loop,
        tied,
        weight_norm,
        embedding,
        linen_mlp,
        linen_cnn_with_attention,
        linen_scan_of_remat,
        nnx_blocks,
    )
}
# Libraries that the project itself doesn't need.
OTHERS = {"equinox": equinox_mlp, "haiku": haiku_mlp}


@cache
def seen(name: str) -> Any:
    """What one run of the model called ``name`` shows."""
    model, found = traced(name)
    return jax.jit(found.run)(model.params, model.x)


@cache
def traced(name: str) -> tuple[Model, Traced]:
    """The model called ``name``, and its trace."""
    model = {**MODELS, **OTHERS}[name]()
    return model, trace(model.apply, model.params, model.x)
