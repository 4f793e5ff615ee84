"""Inputs that no start can be right for: raw pixels, raw columns, coordinates in large units."""

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.clinic.data import images, picture, raw_table, table
from benchmarks.clinic.kit import Model, Training, healthy, sick, squared_error
from benchmarks.clinic.nets import KEY, dense_stack, equinox, haiku, linen, run_stack

INPUT = ("input", "column", "feature", "standardi", "pixel")


def _tanh_on(x: jax.Array, y: jax.Array) -> Model:
    def net(x):
        for width in (96, 96):
            x = jnp.tanh(hk.Linear(width)(x))
        return hk.Linear(10)(x)

    return haiku(net, x, y)


def _standardised_digits() -> Model:
    return _tanh_on(*table("digits", 300))


@sick(
    "saturation",
    ("saturat", *INPUT),
    _standardised_digits,
    site="linear",
    source="question and answer",
    training=Training("sgd", 0.03, 400),
)
def pixels_into_tanh() -> Model:
    """Pixels of 0 to 255 into tanh: the first layer's units sit at -1 or 1, whatever the image.
    Divide by 255 or standardise."""
    x, y = raw_table("digits", 300)
    return _tanh_on(x * (255 / 16), y)


@healthy(source="textbook", training=Training("sgd", 0.03, 400))
def standardised_into_tanh() -> Model:
    """The same net on standardised pixels."""
    return _standardised_digits()


def _relu_on(x: jax.Array, y: jax.Array, classes: int) -> Model:
    def net(x):
        for width in (64, 64):
            x = jax.nn.relu(hk.Linear(width, w_init=hk.initializers.VarianceScaling(2.0))(x))
        return hk.Linear(classes)(x)

    return haiku(net, x, y)


def _standardised_wine() -> Model:
    return _relu_on(*table("wine"), 3)


@sick(
    "raw columns",
    (*INPUT, "loss", "cost"),
    _standardised_wine,
    site="linear",
    source="question and answer",
    training=Training("sgd", 0.01),
)
def wine_as_measured() -> Model:
    """Thirteen columns as measured: one runs to 1700, most others stay near 1, so that one column
    decides everything and the first cost is in the tens. Standardise the columns."""
    return _relu_on(*raw_table("wine"), 3)


@healthy(source="textbook", training=Training("sgd", 0.01))
def wine_standardised() -> Model:
    """The same with standardised columns."""
    return _standardised_wine()


class _SmallConvolutions(nn.Module):
    groups: int = 0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in (12, 24):
            x = nn.Conv(width, (3, 3), kernel_init=nn.initializers.he_normal())(x)
            x = nn.relu(nn.GroupNorm(self.groups)(x) if self.groups else x)
        return nn.Dense(10, name="head")(x.reshape(len(x), -1))


@sick(
    "raw pixels",
    (*INPUT, "255", "loss", "cost"),
    lambda: linen(_SmallConvolutions(), *images(192)),
    site="Conv_0",
    source="issue thread",
    training=Training("sgd", 0.01, 200),
)
def pixels_into_convolutions() -> Model:
    """Images of 0 to 255 into convolutions without a norm: logits in the hundreds, and a learning
    rate that is right for scaled images throws the kernels far off. Divide by 255."""
    return linen(_SmallConvolutions(), *images(192, raw=True))


@healthy(source="paper", training=Training("adam", 3e-3, 150))
def convolutions_group_norm() -> Model:
    """Convolutions with group norms on standardised images."""
    return linen(_SmallConvolutions(4), *images(192))


def _sales(scaled: bool) -> Model:
    rng = np.random.default_rng(3)
    n = 300
    day = rng.integers(0, 700, n)
    rest = rng.normal(size=(n, 5))
    y = np.sin(day * 2 * np.pi / 350) + 0.5 * rest[:, 0] - 0.3 * rest[:, 1]
    stamp = 1.6e9 + 86400.0 * day
    stamp = (stamp - stamp.mean()) / stamp.std() if scaled else stamp
    x = jnp.asarray(np.concatenate([stamp[:, None], rest], 1), jnp.float32)
    params = dense_stack([6, 64, 64, 1], 2**0.5)
    target = jnp.asarray(y[:, None], jnp.float32)
    return Model(lambda p, x: run_stack(p, x, jax.nn.relu), params, x, target, squared_error)


@sick(
    "raw time stamp",
    (*INPUT, "loss", "cost", "scale"),
    lambda: _sales(True),
    site="layer_00",
    source="question and answer",
)
def time_stamp_column() -> Model:
    """A column of seconds since 1970, 1.6e9 with a spread a hundred times smaller, among
    standardised ones: outputs start near 1e9. Use days since the first one, standardised."""
    return _sales(False)


class _Categories(nn.Module):
    @nn.compact
    def __call__(self, x: dict) -> jax.Array:
        parts = [x["numbers"]]
        for i, size in enumerate((12, 30, 5)):
            parts.append(nn.Embed(size, 8, name=f"embed_{i}")(x["codes"][:, i]))
        h = jnp.concatenate(parts, -1)
        for width in (64, 32):
            h = nn.relu(nn.Dense(width)(h))
        return nn.Dense(1, name="head")(h)


@healthy(source="paper")
def table_with_categories() -> Model:
    """A table of numbers and categories: embeddings beside standardised columns."""
    rng = np.random.default_rng(8)
    n = 400
    codes = np.stack([rng.integers(0, size, n) for size in (12, 30, 5)], 1)
    numbers = rng.normal(size=(n, 6))
    level = np.concatenate([rng.normal(size=12), rng.normal(size=30)])
    y = level[codes[:, 0]] + level[12 + codes[:, 1]] + numbers[:, 0] * (codes[:, 2] - 2)
    x = {"codes": jnp.asarray(codes), "numbers": jnp.asarray(numbers, jnp.float32)}
    target = jnp.asarray((y / y.std())[:, None], jnp.float32)
    return linen(_Categories(), x, target, loss=squared_error)


def _octaves(points: jax.Array, count: int) -> jax.Array:
    """Sines and cosines of points at frequencies pi, 2 pi, 4 pi, ..."""
    angles = (points[..., None] * jnp.pi * 2.0 ** jnp.arange(count)).reshape(*points.shape[:-1], -1)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)


class _Field(eqx.Module):
    first: eqx.nn.MLP
    second: eqx.nn.MLP
    octaves: int = eqx.field(static=True)

    def __init__(self, key: jax.Array, octaves: int = 5) -> None:
        k, m = jax.random.split(key)
        width = 4 * octaves
        self.first = eqx.nn.MLP(width, 48, 48, 2, key=k)
        self.second = eqx.nn.MLP(48 + width, 1, 48, 1, key=m)
        self.octaves = octaves

    def __call__(self, point: jax.Array) -> jax.Array:
        features = _octaves(point, self.octaves)
        h = jax.nn.relu(self.first(features))
        return self.second(jnp.concatenate([h, features]))


def _field(pixels: bool) -> Model:
    points, value = picture()
    if pixels:
        points = jnp.round((points + 1) / 2 * 19)
    return equinox(_Field(KEY), points, value, loss=squared_error)


@sick(
    "constant features",
    ("constant", "same", "alike", "input", "column", "coordinate", "do not differ", "no spread"),
    lambda: _field(False),
    source="issue thread",
)
def octaves_of_pixel_numbers() -> Model:
    """Positional encoding by octaves of pi on whole pixel numbers: all sines are 0 and all cosines
    1 (but of the lowest octave), the net sees nearly the same at every point. Scale to -1 .. 1."""
    return _field(True)


@healthy(source="paper", training=Training(goal=0.05))
def radiance_field_octaves() -> Model:
    """A field over points in -1 to 1, encoded by octaves, with the encoding led in once more."""
    return _field(False)
