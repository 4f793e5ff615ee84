"""What starts at 0, closed, dead or alike: on purpose, or for good."""

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.clinic.data import table
from benchmarks.clinic.kit import Model, Training, healthy, sick
from benchmarks.clinic.nets import KEY, dense_stack, equinox, gaussian, haiku, linen, run_stack

HE = nn.initializers.he_normal()
SGD = Training("sgd", 0.05)
ZERO = ("zero", "all 0", "is 0", "of 0", "no signal")
ALIKE = ("alike", "identical", "symmetr", "the same", "equal", "rank", "copies")


class _Gated(nn.Module):
    gate: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = nn.relu(nn.Dense(64)(x))
        scores = nn.Dense(4, use_bias=False, kernel_init=self.gate, name="gate")(nn.LayerNorm()(h))
        parts = nn.Dense(4 * 48, name="parts")(h).reshape(-1, 4, 48)
        return nn.Dense(10, name="head")((nn.relu(scores)[..., None] * parts).sum(1))


def _gated(init) -> Model:
    return linen(_Gated(init), *table("digits", 300))


@sick(
    "gate closed for good",
    (*ZERO, "dead"),
    lambda: _gated(nn.initializers.lecun_normal()),
    site="gate",
    source="issue thread",
)
def zero_gate_before_relu() -> Model:
    """A gate of kernel 0 and a relu behind it, whose derivative at 0 is 0: nothing passes, and the
    gate never gets a gradient. Draw its kernel."""
    return _gated(nn.initializers.zeros)


@healthy(source="paper")
def head_of_zeros() -> Model:
    """The last kernel starts at 0: it has a gradient at once, the others after one step."""

    def net(x):
        for width in (128, 128):
            x = jax.nn.relu(hk.Linear(width, w_init=hk.initializers.VarianceScaling(2.0))(x))
        return hk.Linear(10, w_init=jnp.zeros, name="head")(x)

    return haiku(net, *table("digits", 300))


class _ZeroBranches(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.Dense(64, name="stem")(x)
        for i in range(4):
            h = nn.gelu(nn.Dense(128, kernel_init=HE, name=f"up_{i}")(nn.LayerNorm()(x)))
            x = x + nn.Dense(64, kernel_init=nn.initializers.zeros, name=f"down_{i}")(h)
        return nn.Dense(10, name="head")(nn.LayerNorm()(x))


@healthy(source="paper")
def branches_that_end_in_zeros() -> Model:
    """Every residual branch ends in a kernel of 0: the net starts as its stem and opens
    in a step."""
    return linen(_ZeroBranches(), *table("digits", 300))


class _Adapted(eqx.Module):
    base: eqx.nn.Linear
    a: jax.Array
    b: jax.Array

    def __init__(self, rows: int, columns: int, key: jax.Array) -> None:
        k, m = jax.random.split(key)
        self.base = eqx.nn.Linear(rows, columns, key=k)
        self.a = jax.random.normal(m, (4, rows)) / rows**0.5
        self.b = jnp.zeros((columns, 4))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.base(x) + self.b @ (self.a @ x)


class _AdaptedNet(eqx.Module):
    layers: list

    def __init__(self, key: jax.Array) -> None:
        sizes = (64, 64, 64, 10)
        keys = jax.random.split(key, 3)
        self.layers = [_Adapted(*size, k) for *size, k in zip(sizes, sizes[1:], keys, strict=False)]

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)


@healthy(source="paper")
def adapters_of_low_rank() -> Model:
    """Low-rank adapters beside every kernel, their second factor 0 as published."""
    return equinox(_AdaptedNet(KEY), *table("digits", 300))


class _Probe(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i in range(2):
            x = nn.relu(nn.Dense(128, kernel_init=HE, name=f"body_{i}")(x))
        return nn.Dense(10, name="head")(jax.lax.stop_gradient(x))


@healthy(source="documentation", training=Training(rate=3e-3))
def linear_probe() -> Model:
    """A head on a body that stop_gradient freezes on purpose."""
    return linen(_Probe(), *table("digits", 300))


def _stack(change=lambda params: params, activation=jnp.tanh) -> Model:
    x, y = table("digits", 300)
    params = change(dense_stack([64, 64, 64, 10], 1.0 if activation is jnp.tanh else 2**0.5))
    return Model(lambda p, x: run_stack(p, x, activation), params, x, y)


def _constant(params: dict) -> dict:
    return jax.tree.map(lambda a: jnp.full_like(a, 0.02) if a.ndim == 2 else a, params)


@sick(
    "units all alike",
    (*ALIKE, "constant"),
    _stack,
    site="layer",
    source="question and answer",
    training=SGD,
)
def kernels_of_one_constant() -> Model:
    """All kernels filled with one number: all units of a layer are the same, get the same gradient
    and stay the same. Draw them at random."""
    return _stack(_constant)


@sick(
    "kernels all zero",
    (*ZERO, *ALIKE, "dead", "no gradient"),
    lambda: _stack(activation=jax.nn.relu),
    site="layer",
    source="textbook",
    training=SGD,
)
def kernels_of_zeros() -> Model:
    """All kernels at 0 under relu: no signal and no gradient anywhere but in the last bias, for
    good. Draw them at random."""
    return _stack(lambda params: jax.tree.map(jnp.zeros_like, params), jax.nn.relu)


def _biased(bias: float) -> Model:
    def change(params: dict) -> dict:
        layer = params["layer_01"]
        return {**params, "layer_01": {**layer, "b": jnp.full_like(layer["b"], bias)}}

    return _stack(change, jax.nn.relu)


@sick(
    "dead units",
    ("dead", "bias", "relu"),
    lambda: _biased(0.0),
    site="layer_01",
    source="question and answer",
    training=SGD,
)
def biases_of_minus_12() -> Model:
    """Biases of -12 in a relu layer: its units are off for all examples and have no gradient.
    Start biases at 0."""
    return _biased(-12.0)


def _tied_rows(params: dict) -> dict:
    """Every second unit of the two hidden layers a copy of the one before it."""

    def paired(layer: dict) -> dict:
        return {**layer, "w": jnp.repeat(layer["w"][:, ::2], 2, axis=1)}

    return {**params, "layer_00": paired(params["layer_00"])}


@healthy(source="paper", training=SGD)
def units_doubled_by_growth() -> Model:
    """A net widened by copying units, as function-preserving growth does; the kernels behind them
    differ, so that the copies part at the first step."""
    return _stack(_tied_rows, jax.nn.relu)


def _highway(bias: float) -> Model:
    rng = np.random.default_rng(19)
    point = rng.normal(size=(400, 6))
    x = jnp.asarray(point, jnp.float32)
    y = jnp.asarray(2 * (point[:, 0] > 0) + (point[:, 1] * point[:, 2] > 0))  # no linear net does
    depth, width = 10, 48
    params = {
        "stem": gaussian(0, 6, width),
        "blocks": {
            "gate": gaussian(1, depth, width, width),
            "gate_bias": jnp.full((depth, width), bias),
            "w": gaussian(2, depth, width, width, gain=2**0.5),
        },
        "head": gaussian(3, width, 4),
    }

    def net(p, x):
        def block(x, layer):
            open_ = jax.nn.sigmoid(x @ layer["gate"] + layer["gate_bias"])
            return open_ * jax.nn.relu(x @ layer["w"]) + (1 - open_) * x, None

        return jax.lax.scan(block, x @ p["stem"], p["blocks"])[0] @ p["head"]

    return Model(net, params, x, y)


@sick(
    "gates closed",
    ("gate", "saturat", "closed", "sigmoid", "vanish"),
    lambda: _highway(-2.0),
    site="blocks",
    source="issue thread",
    training=Training(rate=3e-3),
)
def highway_gates_at_minus_30() -> Model:
    """Gates with biases of -30: a sigmoid of 1e-13 lets through neither a block's signal nor its
    gradient, and the net stays linear. Start them at -2."""
    return _highway(-30.0)


@healthy(source="paper", training=Training(rate=3e-3))
def highway_gates_at_minus_2() -> Model:
    """Gates that start mostly closed, at -2, as published."""
    return _highway(-2.0)
