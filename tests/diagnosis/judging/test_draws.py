"""How far random weights stray from what theory expects, on models where it is easily misjudged."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from glorot_jax.diagnosis import trace
from glorot_jax.diagnosis.judging import prediction
from glorot_jax.diagnosis.reporting.wording import LEAST_UNITS
from tests.diagnosis.examined import examining

SEEDS, N, WIDTH, CLASSES = 10, 6, 64, 10
IMAGES = np.random.default_rng(0).normal(size=(N, 8, 8, 3)).astype(np.float32)
# Dark in the middle, so that what lies beside the border, which kernels see less of, is larger.
IMAGES[:, 2:6, 2:6] /= 10
TABLE = np.random.default_rng(1).normal(size=(N, WIDTH)).astype(np.float32)
TOKENS = np.random.default_rng(2).integers(256, size=(N, 12))


class Padded(nn.Module):
    """A deep convolutional net: an input beside a border goes into fewer outputs."""

    @nn.compact
    def __call__(self, x):
        for _ in range(6):
            x = nn.relu(nn.Conv(WIDTH, (3, 3), kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(CLASSES)(x.mean((1, 2)))


class Bottlenecks(nn.Module):
    """Residual blocks with batch statistics, the second one to half the size."""

    @nn.compact
    def __call__(self, x):
        norm = partial(nn.BatchNorm, use_running_average=False)
        x = nn.Conv(WIDTH, (3, 3))(x)
        for stride in (1, 2):
            strides = (stride, stride)
            h = nn.relu(norm()(nn.Conv(WIDTH, (1, 1), use_bias=False)(x)))
            h = nn.relu(norm()(nn.Conv(WIDTH, (3, 3), strides, use_bias=False)(h)))
            h = norm()(nn.Conv(2 * WIDTH, (1, 1), use_bias=False)(h))
            x = nn.relu(h + norm()(nn.Conv(2 * WIDTH, (1, 1), strides, use_bias=False)(x)))
        return nn.Dense(CLASSES)(x.mean((1, 2)))


class Narrow(nn.Module):
    """Deep for its width: from layer to layer the draws multiply."""

    @nn.compact
    def __call__(self, x):
        for _ in range(12):
            x = nn.relu(nn.Dense(WIDTH, kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(CLASSES)(x)


class Tied(nn.Module):
    """A head that is the table of tokens, so that its signal depends on its weights."""

    @nn.compact
    def __call__(self, tokens):
        table = nn.Embed(256, WIDTH)
        x = nn.Dense(WIDTH)(nn.gelu(nn.Dense(256)(nn.LayerNorm()(table(tokens)))))
        return table.attend(x)[:, -1]


@cache
def _program(model, inputs):
    """What is traced of a model, and the program that measures it."""

    def apply(params, x):
        return model.apply({"params": params}, x, mutable=["batch_stats"])[0]

    x = {"images": IMAGES, "table": TABLE, "tokens": TOKENS}[inputs]
    traced = trace(apply, model.init(jax.random.key(0), x)["params"], x)
    return x, traced, examining(traced)


def _strayed(model, inputs, change=lambda params: params):
    """By the labels of rows of many units: how many standard deviations log q is off, [seeds]."""
    x, traced, measure = _program(model, inputs)
    rows, init = prediction.row_constants(traced), jax.jit(model.init)
    strayed = []
    for seed in range(SEEDS):
        params = change(init(jax.random.key(seed), x)["params"])
        one = measure(params, x, np.arange(N))
        expected, noise = prediction.predict(rows, one)
        off = np.log(one["s_mean_square"] / expected["s_mean_square"])
        strayed.append((off + noise**2 / 2) / noise)
    columns = zip(traced.rows(), np.transpose(strayed), strict=True)
    return {row.label: column for row, column in columns if row.units >= LEAST_UNITS}


@pytest.mark.parametrize(
    ("model", "inputs"),
    [(Padded(), "images"), (Bottlenecks(), "images"), (Narrow(), "table")],
    ids=["padded", "bottlenecks", "narrow"],
)
def test_random_weights_stray_by_the_noise(model, inputs):
    every = np.array(list(_strayed(model, inputs).values()))
    assert 0.6 < np.sqrt(np.mean(every**2)) < 1.3
    assert np.abs(every).max() < 4.5
    # And not all to one side at any site: a mean over seeds strays by as much less.
    assert np.abs(every.mean(axis=1)).max() < 4.5 / np.sqrt(SEEDS)


@pytest.mark.parametrize("model", [Padded(), Bottlenecks()], ids=["padded", "bottlenecks"])
def test_weights_that_add_up_what_is_alike_stray_further(model):
    """The kernel of one convolution sees the mean of its z; the rest are random."""

    def change(params):
        kernel = params["Conv_2"]["kernel"]
        moved = kernel + 0.3 * jnp.std(kernel)
        return {**params, "Conv_2": {**params["Conv_2"], "kernel": moved}}

    every = _strayed(model, "images", change)
    assert every.pop("Conv_2/kernel").min() > 6
    assert np.abs(list(every.values())).max() < 4.5


def test_of_a_kernel_used_twice_nothing_is_said():
    every = _strayed(Tied(), "tokens")
    known = {name for name, off in every.items() if np.isfinite(off).all()}
    assert known == {"Dense_0/kernel", "Dense_1/kernel"}
    assert len(every) == 4
