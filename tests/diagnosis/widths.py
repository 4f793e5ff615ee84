"""Models of any width in the parametrisations whose growth theory knows, and examples for them."""

from functools import cache
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import optax

import glorot_jax as gj

WIDTHS = (32, 64, 128, 256)
INPUTS, CLASSES, N = 8, 4, 16
RATES = {"sgd": 0.1, "adam": 1e-3}
BASE = 32  # the width at which muP is SP
TOKENS, LENGTH, HEADS = 8, 6, 2
LAYERS = ("in", "mid", "top", "out")


def examples():
    """Numbers and classes that a linear function of them decides on."""
    x = jax.random.normal(jax.random.key(5), (N, INPUTS))
    teacher = jax.random.normal(jax.random.key(9), (INPUTS, CLASSES))
    return x, jnp.argmax(x @ teacher, axis=1)


def sentences():
    """Tokens, and the class of the last but one."""
    x = jax.random.randint(jax.random.key(3), (24, LENGTH), 0, TOKENS)
    return x, x[:, -2] % CLASSES


def multiplied(width, powers):
    """The layers' factors, 1 at the base width."""
    return {name: (width / BASE) ** powers.get(name, 0.0) for name in LAYERS}


def mlp(width, parametrisation="SP", scales=None):
    """Three hidden tanh layers; ``scales``: powers of width that initial kernels are scaled by.

    muP here has kernels without multipliers: a readout of variance 1/width^2 (Tensor Programs V,
    table 3). NTK has kernels of variance 1, divided by the root of their fan-in when used.
    """
    fans = dict(zip(LAYERS, (INPUTS, width, width, width), strict=True))
    outs = dict(zip(LAYERS, (width, width, width, CLASSES), strict=True))
    powers = {"out": -0.5} if parametrisation == "muP" else scales or {}
    factors = multiplied(width, powers)
    ntk = parametrisation == "NTK"

    def init(key):
        shapes = {name: (fans[name], outs[name]) for name in LAYERS}
        stds = {name: factors[name] * (1 if ntk else fans[name] ** -0.5) for name in LAYERS}
        return _drawn(key, shapes, stds)

    def apply_fn(params, x):
        h = x
        for name in LAYERS:
            kernel = params[name] * fans[name] ** -0.5 if ntk else params[name]
            h = h @ kernel
            h = h if name == "out" else jnp.tanh(h)
        return h

    return init, apply_fn


def _drawn(key, shapes, stds):
    """Normal values, drawn all at once, which compiles faster."""
    sizes = [prod(shape) for shape in shapes.values()]
    values = jnp.split(jax.random.normal(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
    return {
        name: a.reshape(shape) * stds[name]
        for a, (name, shape) in zip(values, shapes.items(), strict=True)
    }


MUP_RATES = {
    "sgd": {"in": 1.0, "out": -1.0},
    "adam": {"mid": -1.0, "top": -1.0, "out": -1.0},
}


def optimizer(kind, powers=None):
    """One of a width: rates of the layers in proportion to a power of it."""
    make = {"sgd": optax.sgd, "adam": optax.adam}[kind]
    if not powers:
        return make(RATES[kind])

    def of_width(width):
        factors = multiplied(width, powers)
        each = {name: make(RATES[kind] * factor) for name, factor in factors.items()}
        return optax.multi_transform(each, {name: name for name in LAYERS})

    return of_width


@cache
def checked(parametrisation, kind):
    """The check of an MLP."""
    x, y = examples()
    rates = MUP_RATES[kind] if parametrisation == "muP" else {}
    return gj.coordinate_check(
        lambda width: mlp(width, parametrisation),
        WIDTHS,
        x=x,
        y=y,
        optimizer=optimizer(kind, rates),
        seeds=4,
    )


def transformer(width, mup, score):
    """One block of causal attention and an MLP, before each an rms norm; the last token is read.

    ``score``: of a head's width, what scores are multiplied by.
    """
    size = width // HEADS
    shapes = {
        **dict.fromkeys(("q", "k", "v"), ((width, HEADS, size), width ** (-0.5))),
        "o": ((HEADS, size, width), width**-0.5),
        "up": ((width, 2 * width), width**-0.5),
        "down": ((2 * width, width), (2 * width) ** -0.5),
        "embed": ((TOKENS, width), 1.0),
        "place": ((LENGTH, width), 0.5),
        "out": ((width, CLASSES), width**-0.5 * ((BASE / width) ** 0.5 if mup else 1)),
    }

    def init(key):
        only = {name: shape for name, (shape, _) in shapes.items()}
        return _drawn(key, only, {name: std for name, (_, std) in shapes.items()})

    return init, lambda p, x: _read(p, p["embed"][x] + p["place"][None], score(size))


def _read(p, h, score):
    z = _normalised(h)
    q, k, v = (jnp.einsum("btn,nhd->bthd", z, p[name]) for name in "qkv")
    seen = jnp.asarray(np.tril(np.ones((LENGTH, LENGTH), bool)))[None, None]
    scores = jnp.where(seen, jnp.einsum("bthd,bshd->bhts", q, k) * score, -jnp.inf)
    heads = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores, axis=-1), v)
    h = h + jnp.einsum("bthd,hdn->btn", heads, p["o"])
    h = h + jax.nn.gelu(_normalised(h) @ p["up"]) @ p["down"]
    return _normalised(h)[:, -1] @ p["out"]


def _normalised(h):
    return h * jax.lax.rsqrt(jnp.mean(jnp.square(h), axis=-1, keepdims=True) + 1e-6)


def adam_of_transformer(mup):
    """muP: the rates of all but the embedding and the positions are divided by width."""
    if not mup:
        return optax.adam(RATES["adam"])
    names = ("q", "k", "v", "o", "up", "down", "embed", "place", "out")
    kinds = {name: "in" if name in ("embed", "place") else "rest" for name in names}

    def of_width(width):
        rates = {"in": RATES["adam"], "rest": RATES["adam"] * BASE / width}
        return optax.multi_transform({k: optax.adam(r) for k, r in rates.items()}, kinds)

    return of_width
