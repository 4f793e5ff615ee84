"""Nets in time: memory that fades, states that explode, and sequence models as published."""

import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.clinic.data import chain_of_tokens, first_step
from benchmarks.clinic.kit import Model, Training, healthy, sick
from benchmarks.clinic.nets import gaussian, haiku, linen

EXPLODING = ("explod", "too large", "grow", "overflow", "not finite", "nan", "unstable")


class _Gru(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(8, name="head")(nn.RNN(nn.GRUCell(32), name="rnn")(x)[:, -1])


@healthy(source="documentation", training=Training(rate=5e-3))
def gru_12_steps() -> Model:
    """A GRU at a library's defaults; its state starts at 0."""
    return linen(_Gru(), *first_step(12, 300))


def _lstm(forget: float, steps: int = 40, width: int = 24) -> Model:
    x, y = first_step(steps, 256)
    bias = jnp.zeros((4, width)).at[1].set(forget)
    params = {
        "inward": gaussian(0, 8, 4 * width),
        "recurrent": gaussian(1, width, 4 * width, gain=0.5),
        "bias": bias.reshape(-1),
        "head": gaussian(2, width, 8),
    }

    def net(p, x):
        def step(state, now):
            h, c = state
            s = now @ p["inward"] + h @ p["recurrent"] + p["bias"]
            i, f, g, o = jnp.split(s, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), None

        start = jnp.zeros((len(x), width))
        (h, _), _ = jax.lax.scan(step, (start, start), x.swapaxes(0, 1))
        return h @ p["head"]

    return Model(net, params, x, y)


@sick(
    "forgets within steps",
    ("vanish", "forget", "gate", "fade", "memory", "steps"),
    lambda: _lstm(4.0),
    source="paper",
    training=Training(rate=5e-3, steps=250),
)
def lstm_forgets_in_40_steps() -> Model:
    """An LSTM whose forget biases are -1 and a class that the first of forty steps alone shows: a
    quarter of the cell is kept a step, and nothing of it arrives. Start them at 1 to 4."""
    return _lstm(-1.0)


@healthy(source="paper", training=Training(rate=5e-3))
def lstm_forget_bias_1() -> Model:
    """A library's LSTM, its forget biases at 1, over twelve steps."""

    def net(x):
        core = hk.LSTM(32)
        state = core.initial_state(x.shape[0])
        outputs, _ = hk.dynamic_unroll(core, x, state, time_major=False)
        return hk.Linear(8, name="head")(outputs[:, -1])

    return haiku(net, *first_step(12, 300))


def _relu_recurrence(gain: float, steps: int = 30, width: int = 32) -> Model:
    x, y = first_step(steps, 256)
    params = {
        "inward": gaussian(0, 8, width),
        "recurrent": gain * jnp.eye(width),
        "head": gaussian(2, width, 8),
    }

    def net(p, x):
        def step(h, now):
            return jax.nn.relu(now @ p["inward"] + h @ p["recurrent"]), None

        h, _ = jax.lax.scan(step, jnp.zeros((len(x), width)), x.swapaxes(0, 1))
        return h @ p["head"]

    return Model(net, params, x, y)


@sick(
    "explodes in time",
    (*EXPLODING, "spectral radius", "loss", "cost"),
    lambda: _relu_recurrence(1.0),
    site="recurrent",
    source="paper",
    training=Training("sgd", 1e-3),
)
def recurrence_of_radius_15() -> Model:
    """A relu recurrence by 1.5 times the identity: state and gradient grow by half a step, by 2e5
    in thirty. Use the identity, or a spectral radius of 1 at most."""
    return _relu_recurrence(1.5)


@healthy(source="paper", training=Training("sgd", 1e-3))
def recurrence_of_identity() -> Model:
    """A relu recurrence that starts as the identity."""
    return _relu_recurrence(1.0)


def _diagonal_ssm(sign: float, states: int = 16, width: int = 16) -> Model:
    x, y = first_step(32, 256)
    params = {
        "inward": gaussian(0, 8, width),
        "a_real": sign * jnp.broadcast_to(jnp.arange(1.0, states + 1), (width, states)),
        "a_imag": jnp.broadcast_to(jnp.pi * jnp.arange(states), (width, states)),
        "b": jnp.ones((width, states)),
        "c": gaussian(1, states, 2 * width).T.reshape(2, width, states),
        "log_dt": jnp.log(jnp.geomspace(1e-2, 1e-1, width)),
        "out": gaussian(3, width, width),
        "head": gaussian(4, width, 8),
    }

    def net(p, x):
        u = x @ p["inward"]
        a = p["a_real"] + 1j * p["a_imag"]
        keep = jnp.exp(a * jnp.exp(p["log_dt"])[:, None])
        drive = p["b"] * (keep - 1) / a
        read = p["c"][0] + 1j * p["c"][1]

        def step(h, now):
            h = keep * h + drive * now[..., None]
            return h, 2 * (h * read).real.sum(-1)

        start = jnp.zeros((len(x), width, states), jnp.complex64)
        _, out = jax.lax.scan(step, start, u.swapaxes(0, 1))
        out = jax.nn.gelu(out.swapaxes(0, 1)) @ p["out"] + u
        return out.mean(1) @ p["head"]

    return Model(net, params, x, y)


@sick(
    "state explodes",
    (*EXPLODING, "loss", "cost"),
    lambda: _diagonal_ssm(-1.0),
    source="issue thread",
)
def state_space_unstable() -> Model:
    """A diagonal state space whose decay lost its sign: the real parts are 1 to 16 where -1 to -16
    is right, and the state grows by up to 5 a step. Keep them negative, as minus an exponential."""
    return _diagonal_ssm(1.0)


@healthy(source="paper", training=Training(rate=1e-2))
def state_space_diagonal() -> Model:
    """A diagonal state space with real parts of -1 to -16 and frequencies of pi, 2 pi, ..."""
    return _diagonal_ssm(-1.0)


class _LinearAttention(nn.Module):
    """A time-mixing block with a decay for each channel, and channel mixing by squared relus."""

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        width = 48
        x = nn.LayerNorm()(
            nn.Embed(64, width, embedding_init=nn.initializers.uniform(1e-2))(tokens)
        )
        for i in range(2):
            h = nn.LayerNorm()(x)
            before = jnp.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1]
            mix = self.param(f"mix_{i}", nn.initializers.constant(0.5), (width,))
            h = h * mix + before * (1 - mix)
            k, v, r = (nn.Dense(width, use_bias=False, name=f"{name}_{i}")(h) for name in "kvr")
            decay = self.param(f"decay_{i}", lambda *_: jnp.linspace(-5.0, 1.0, width))
            out = self._mixed(jnp.exp(-jnp.exp(decay)), jnp.clip(k, -30, 30), v)
            x = x + nn.Dense(width, use_bias=False, name=f"o_{i}")(jax.nn.sigmoid(r) * out)
            h = nn.Dense(96, use_bias=False, name=f"up_{i}")(nn.LayerNorm()(x))
            x = x + nn.Dense(width, use_bias=False, name=f"down_{i}")(jnp.square(nn.relu(h)))
        return nn.Dense(64, name="head")(nn.LayerNorm()(x))

    @staticmethod
    def _mixed(keep: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        def step(state, now):
            top, bottom = state
            k, v = now
            top, bottom = keep * top + jnp.exp(k) * v, keep * bottom + jnp.exp(k)
            return (top, bottom), top / bottom

        start = jnp.zeros((len(k), k.shape[-1]))
        _, out = jax.lax.scan(step, (start, start), (k.swapaxes(0, 1), v.swapaxes(0, 1)))
        return out.swapaxes(0, 1)


@healthy(source="paper", training=Training(rate=3e-3))
def linear_attention_decay() -> Model:
    """A recurrent language model of decaying averages, at defaults."""
    return linen(_LinearAttention(), *chain_of_tokens(16, 128, 64))


class _Dilated(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        he = nn.initializers.he_normal()
        for i in range(3):
            causal = {"kernel_dilation": 2**i, "padding": "CAUSAL", "kernel_init": he}
            h = nn.relu(nn.Conv(24, (3,), name=f"a_{i}", **causal)(x))
            h = nn.relu(nn.Conv(24, (3,), name=f"b_{i}", **causal)(h))
            x = nn.relu(h + (x if x.shape[-1] == 24 else nn.Conv(24, (1,), name=f"c_{i}")(x)))
        return nn.Dense(1, name="head")(x)[:, -1]


@healthy(source="paper", training=Training(rate=2e-3))
def dilated_convolutions_in_time() -> Model:
    """Causal, dilated, residual convolutions that predict the next value of noisy waves."""
    rng = np.random.default_rng(9)
    speed, phase = rng.uniform(0.2, 0.7, (256, 1)), rng.uniform(0, 6.3, (256, 1))
    wave = np.sin(speed * np.arange(25) + phase) + 0.05 * rng.normal(size=(256, 25))
    x = jnp.asarray(wave[:, :-1, None], jnp.float32)
    y = jnp.asarray(wave[:, -1:], jnp.float32)
    return linen(_Dilated(), x, y, loss=lambda out, y: jnp.square(out - y)[:, 0])
