"""Signals and gradients that fade or grow on their way through the layers."""

import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp

from benchmarks.clinic.data import images, table
from benchmarks.clinic.kit import Model, Training, healthy, sick
from benchmarks.clinic.nets import dense_stack, gaussian, haiku, linen, run_stack

SGD = Training("sgd", 0.05)
VANISHING = ("vanish", "shrink", "fade", "too small")
EXPLODING = ("explod", "too large", "grow", "overflow")


def _tanh_layers(gain: float) -> Model:
    x, y = table("digits", 300)
    params = dense_stack([64] * 15 + [10], gain, biases=False)
    return Model(lambda p, x: run_stack(p, x, jnp.tanh), params, x, y)


@sick("vanishing", VANISHING, lambda: _tanh_layers(1.1), site="layer", source="paper", training=SGD)
def tanh_14_small() -> Model:
    """Fourteen tanh layers with the uniform start that n Var[W] = 1/3 stands for: each keeps 0.58
    of the signal and of the gradient. Kernels 1.7 times as large mend it."""
    return _tanh_layers(3**-0.5)


@healthy(source="paper", training=SGD)
def tanh_14_critical() -> Model:
    """Fourteen tanh layers at n Var[W] = 1.2, where tanh keeps its signal."""
    return _tanh_layers(1.1)


class _ReluLayers(nn.Module):
    variance: float
    depth: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        init = nn.initializers.variance_scaling(self.variance, "fan_in", "normal")
        for _ in range(self.depth):
            x = nn.relu(nn.Dense(64, kernel_init=init)(x))
        return nn.Dense(10)(x)


def _relu_layers(variance: float) -> Model:
    return linen(_ReluLayers(variance), *table("digits", 300))


@sick(
    "exploding",
    EXPLODING,
    lambda: _relu_layers(2.0),
    site="Dense",
    source="question and answer",
    training=Training("sgd", 0.01),
)
def relu_10_gain_large() -> Model:
    """Ten relu layers whose kernels have 1.56 times the std that keeps the signal: it grows by
    as much a layer. Draw them at n Var[W] = 2."""
    return _relu_layers(2.2**2)


@healthy(source="paper", training=Training("sgd", 0.01))
def relu_10_he() -> Model:
    """Ten relu layers at n Var[W] = 2."""
    return _relu_layers(2.0)


def _branches(up: float, down: float) -> Model:
    x, y = table("digits", 300)
    depth, width = 60, 64
    params = {
        "stem": gaussian(0, 64, width),
        "branches": {
            "down": gaussian(1, depth, width, width, gain=down),
            "up": gaussian(2, depth, width, width, gain=up),
        },
        "head": gaussian(3, width, 10),
    }

    def net(p, x):
        def block(x, w):
            return x + jax.nn.relu(x @ w["up"]) @ w["down"], None

        return jax.lax.scan(block, x @ p["stem"], p["branches"])[0] @ p["head"]

    return Model(net, params, x, y)


@sick(
    "exploding",
    (*EXPLODING, "loss", "cost"),
    lambda: _branches((2 / 60) ** 0.5, 0.0),
    source="paper",
)
def residual_60_unscaled() -> Model:
    """Sixty residual branches, each adding as much variance as comes in, without a norm: the
    signal's variance doubles sixty times. Scale branches by 1/sqrt(depth), or end them in 0."""
    return _branches(2**0.5, 1.0)


@healthy(source="paper")
def residual_60_fixup() -> Model:
    """Sixty branches by Fixup's rule: first kernels small, last kernels 0, which one step opens."""
    return _branches((2 / 60) ** 0.5, 0.0)


def _sigmoid_layers(activation) -> Model:
    x, y = table("digits", 300)
    params = dense_stack([64] * 8 + [10])
    return Model(lambda p, x: run_stack(p, x, activation), params, x, y)


@sick(
    "vanishing",
    (*VANISHING, "saturat"),
    lambda: _sigmoid_layers(jnp.tanh),
    site="layer",
    source="question and answer",
    training=SGD,
)
def sigmoid_7() -> Model:
    """Seven layers of logistic sigmoids: the derivative is 1/4 at most, so that about 1e-4 of the
    gradient reaches the first kernel. Use tanh, or kernels four times larger."""
    return _sigmoid_layers(jax.nn.sigmoid)


class _PlainConvolutions(nn.Module):
    kernel_init: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(7):
            x = nn.relu(nn.Conv(12, (3, 3), kernel_init=self.kernel_init)(x))
        return nn.Dense(10, name="head")(x.mean((1, 2)))


def _convolutions(init) -> Model:
    x, y = images(192)
    return linen(_PlainConvolutions(init), x, y)


@sick(
    "vanishing",
    VANISHING,
    lambda: _convolutions(nn.initializers.he_normal()),
    site="Conv",
    source="paper",
    training=Training("sgd", 0.2, 400),
)
def conv_7_std_001() -> Model:
    """Seven plain convolutions drawn at std 0.01, the habit of early image nets: each keeps a
    thirteenth of the signal. Draw them by fan-in, n Var[W] = 2."""
    return _convolutions(nn.initializers.normal(0.01))


def _narrow(width: int, key: int) -> Model:
    x, y = table("digits", 300)

    def net(x):
        for _ in range(12):
            x = jax.nn.relu(hk.Linear(width, w_init=hk.initializers.VarianceScaling(2.0))(x))
        return hk.Linear(10)(x)

    model = haiku(net, x, y)
    transformed = hk.without_apply_rng(hk.transform(net))
    params = jax.jit(transformed.init)(jax.random.key(key), x[:2])
    return Model(model.apply_fn, params, x, y)


@sick(
    "dead by narrowness",
    ("dead", "no signal", "no gradient", "relu", "constant", "same"),
    lambda: _narrow(48, 2),
    site="linear",
    source="issue thread",
    training=SGD,
)
def narrow_relu_dead() -> Model:
    """Twelve relu layers of two units: with such a seed all of one layer are off for all
    examples, nothing passes, and no training brings it back. Widen the layers or draw again."""
    return _narrow(2, 2)


def _standard_normal(scale: bool) -> Model:
    x, y = table("digits", 300)
    params = dense_stack([64, 128, 128, 10])
    if not scale:
        params = {
            name: {"w": layer["w"] * len(layer["w"]) ** 0.5, "b": layer["b"]}
            for name, layer in params.items()
        }
    return Model(lambda p, x: run_stack(p, x, jnp.tanh), params, x, y)


@sick(
    "kernels too large",
    ("saturat", "too large", "explod", "loss", "cost", "scale"),
    lambda: _standard_normal(True),
    site="layer",
    source="textbook",
    training=Training("sgd", 0.01),
)
def standard_normal_kernels() -> Model:
    """Kernels straight from a standard normal, not divided by sqrt(n): tanh units sit at -1 or 1
    and logits have a std of ten. Divide by the square root of the number of inputs."""
    return _standard_normal(False)


def _rezero(key: int = 5) -> Model:
    x, y = table("digits", 300)
    depth, width = 24, 64
    params = {
        "stem": gaussian(key, 64, width),
        "w": gaussian(key + 1, depth, width, width, gain=2**0.5),
        "alpha": jnp.zeros(depth),
        "head": gaussian(key + 2, width, 10),
    }

    def net(p, x):
        def block(x, layer):
            w, alpha = layer
            return x + alpha * jax.nn.relu(x @ w), None

        return jax.lax.scan(block, x @ p["stem"], (p["w"], p["alpha"]))[0] @ p["head"]

    return Model(net, params, x, y)


@healthy(source="paper")
def rezero_24() -> Model:
    """Residual branches behind a scalar that starts at 0: the scalar gets a gradient at once and
    the kernels after one step."""
    return _rezero()


class _Selu(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(8):
            x = jax.nn.selu(nn.Dense(64, kernel_init=nn.initializers.lecun_normal())(x))
        return nn.Dense(10, kernel_init=nn.initializers.lecun_normal())(x)


@healthy(source="paper", training=Training("sgd", 0.02))
def selu_8() -> Model:
    """A self-normalising net: selu at n Var[W] = 1."""
    return linen(_Selu(), *table("digits", 300))
