"""Not a number, out of range, or rounded away."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from benchmarks.clinic.data import first_step, marked_token, raw_table, regression, table
from benchmarks.clinic.kit import Model, Training, healthy, sick
from benchmarks.clinic.nets import attend, dense_stack, gaussian, haiku, linen, run_stack

NAN = ("nan", "not finite", "not a number", "inf ", "infinit")


class _UnitLength(nn.Module):
    safe: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(2):
            x = nn.tanh(nn.Dense(64, use_bias=False)(x))
        squares = jnp.sum(x * x, -1, keepdims=True)
        full = squares > 0
        length = jnp.sqrt(jnp.where(full, squares, 1.0) if self.safe else squares)
        return nn.Dense(10)(4 * jnp.where(full, x / length, 0.0))


def _unit_length(safe: bool) -> Model:
    x, y = table("digits", 200)
    return linen(_UnitLength(safe), x.at[7].set(0.0), y)


@sick("nan gradient", NAN, lambda: _unit_length(True), site="Dense", source="issue thread")
def norm_of_an_empty_row() -> Model:
    """Rows over their norm, under a where that catches the empty row: the output is finite, but
    the gradient of sqrt at 0 is not. A second where inside the sqrt mends it."""
    return _unit_length(False)


@healthy(source="documentation")
def norm_of_an_empty_row_safe() -> Model:
    """The same with a where inside the sqrt."""
    return _unit_length(True)


def _pooled(safe: bool) -> Model:
    x, y = first_step(8, 200)
    x = x.at[11].set(0.0)  # a recording of silence

    def net(x):
        h = jax.nn.relu(hk.Linear(48)(x))
        spread = jnp.sqrt(h.var(1) + 1e-5) if safe else h.std(1)
        return hk.Linear(8, name="head")(jnp.concatenate([h.mean(1), spread], -1))

    return haiku(net, x, y)


@sick("nan gradient", NAN, lambda: _pooled(True), site="linear", source="issue thread")
def std_over_silence() -> Model:
    """Pooling by mean and std over time: of an example that is constant in time the std is 0 and
    its gradient NaN, for all parameters. Add a small number below the root."""
    return _pooled(False)


def _pairs(safe: bool) -> Model:
    rng = np.random.default_rng(4)
    a = rng.normal(size=(256, 20))
    same = rng.integers(0, 2, 256)
    b = np.where(same[:, None], a + 0.1 * rng.normal(size=a.shape), rng.normal(size=a.shape))
    b[3], same[3] = a[3], 1  # an item paired with itself
    x = {"a": jnp.asarray(a, jnp.float32), "b": jnp.asarray(b, jnp.float32)}
    params = dense_stack([20, 48, 12], 2**0.5)

    def net(p, x):
        apart = run_stack(p, x["a"], jax.nn.relu) - run_stack(p, x["b"], jax.nn.relu)
        squares = jnp.square(apart).sum(-1)
        return jnp.sqrt(squares + 1e-6) if safe else jnp.linalg.norm(apart, axis=-1)

    def loss(distance, same):
        return jnp.where(same == 1, distance**2, jnp.square(jax.nn.relu(2 - distance)))

    return Model(net, params, x, jnp.asarray(same), loss)


@sick("nan gradient", NAN, lambda: _pairs(True), site="layer", source="issue thread")
def distance_to_itself() -> Model:
    """A siamese net and one pair of equal items: the distance is 0, its gradient NaN. Add a small
    number below the root."""
    return _pairs(False)


def _padded(guarded: bool) -> Model:
    x, y = marked_token(200)
    seen = np.arange(16) < np.random.default_rng(2).integers(6, 17, 200)[:, None]
    seen[:, :] |= np.asarray(jnp.argmax(x[..., 8], 1))[:, None] >= np.arange(16)
    seen[5] = False  # an empty sequence
    inputs = {"tokens": x, "seen": jnp.asarray(seen)}
    names = ("embed", "q", "k", "v", "out")
    shapes = ((12, 32), (32, 32), (32, 32), (32, 32), (32, 8))
    params = {
        name: gaussian(i, *shape) for i, (name, shape) in enumerate(zip(names, shapes, strict=True))
    }

    def net(p, x):
        h = jnp.tanh(x["tokens"] @ p["embed"])
        seen = x["seen"] | ~x["seen"].any(-1, keepdims=True) if guarded else x["seen"]
        heads = ((h @ p[name]).reshape(*h.shape[:2], 2, 16) for name in "qkv")
        h = h + attend(*heads, mask=seen[:, None, None]).reshape(h.shape)
        return (h * x["seen"][..., None]).sum(1) @ p["out"]

    return Model(net, params, inputs, y)


@sick(
    "mask hides all",
    (*NAN, "mask"),
    lambda: _padded(True),
    source="issue thread",
    training=Training(rate=3e-3),
)
def attention_with_all_masked() -> Model:
    """A mask of -inf and one empty sequence: a softmax over nothing but -inf is NaN, and so are
    the batch's gradients. Leave one key unmasked, or drop the example."""
    return _padded(False)


def _log_of_softmax(safe: bool) -> Model:
    x, y = table("digits", 300)
    params = dense_stack([64, 96, 10], 2**0.5)
    params["layer_01"]["w"] *= 40.0 if not safe else 1.0

    def loss(logits, y):
        chosen = jax.nn.log_softmax(logits) if safe else jnp.log(jax.nn.softmax(logits))
        return -jnp.take_along_axis(chosen, y[:, None], 1)[:, 0]

    return Model(lambda p, x: run_stack(p, x, jax.nn.relu), params, x, y, loss)


@sick(
    "log of 0",
    (*NAN, "log"),
    lambda: _log_of_softmax(True),
    source="question and answer",
)
def log_of_a_softmax() -> Model:
    """A loss written as log of softmax, and logits a hundred apart: the probability is 0, its log
    -inf. Use log_softmax, and a last kernel of the usual size."""
    return _log_of_softmax(False)


def _heteroscedastic(positive) -> Model:
    params = dense_stack([10, 64, 64, 2], 2**0.5)

    def net(p, x):
        out = run_stack(p, x, jax.nn.relu)
        return {"mean": out[:, 0], "variance": positive(out[:, 1])}

    def loss(out, y):
        miss = jnp.square(out["mean"] - y[:, 0])
        return 0.5 * (jnp.log(out["variance"]) + miss / out["variance"])

    return Model(net, params, *regression(), loss)


@sick(
    "variance of 0",
    (*NAN, "relu", "variance"),
    lambda: _heteroscedastic(lambda s: jax.nn.softplus(s) + 1e-3),
    source="question and answer",
)
def variance_behind_relu() -> Model:
    """A net that gives a mean and, through a relu, a variance: half of the variances are exactly 0,
    whose log is -inf. Use a softplus and a floor."""
    return _heteroscedastic(jax.nn.relu)


@healthy(source="paper")
def mean_and_variance() -> Model:
    """A net of two outputs, a mean and a variance by softplus, under the Gaussian likelihood."""
    return _heteroscedastic(lambda s: jax.nn.softplus(s) + 1e-3)


def _bfloat(dtype) -> Model:
    x, y = table("digits", 300)
    params = jax.tree.map(lambda a: a.astype(dtype), dense_stack([64, 96, 96, 10], 2**0.5))

    def net(p, x):
        low = jax.tree.map(lambda a: a.astype(jnp.bfloat16), p)
        return run_stack(low, x.astype(jnp.bfloat16), jax.nn.relu).astype(jnp.float32)

    return Model(net, params, x, y)


@sick(
    "bfloat16 parameters",
    ("bfloat16", "bf16", "round", "precision", "float32"),
    lambda: _bfloat(jnp.float32),
    source="issue thread",
    training=Training(rate=5e-5, steps=1000),
)
def parameters_in_bfloat16() -> Model:
    """Parameters kept in bfloat16 and a learning rate of 5e-5: an update of a weight of 0.1 is less
    than half of its last bit, and is rounded away. Keep parameters in float32."""
    return _bfloat(jnp.bfloat16)


@healthy(source="documentation", training=Training(rate=1e-3))
def computing_in_bfloat16() -> Model:
    """Parameters in float32, products in bfloat16, the usual mixed precision."""
    return _bfloat(jnp.float32)


def _half(dtype) -> Model:
    x, y = raw_table("digits", 300)
    params = dense_stack([64, 128, 128, 10], 2**0.5)

    def net(p, x):
        p = jax.tree.map(lambda a: a.astype(dtype), p)
        h = (16 * x).astype(dtype)
        for name in ("layer_00", "layer_01"):
            h = jax.nn.relu(h @ p[name]["w"] + p[name]["b"])
        power = jnp.sum(h * h, -1, keepdims=True)  # beyond 65504
        h = h * jax.lax.rsqrt(power / 128 + jnp.asarray(1e-3, dtype))
        return (h @ p["layer_02"]["w"] + p["layer_02"]["b"]).astype(jnp.float32)

    return Model(net, params, x, y)


@sick(
    "float16 overflow",
    (*NAN, "float16", "overflow", "inf", "range"),
    lambda: _half(jnp.float32),
    source="issue thread",
)
def squares_in_float16() -> Model:
    """A hand-written norm in float16: the sum of squares exceeds 65504 and is inf, the normalised
    values are 0, and no gradient passes. Take statistics in float32."""
    return _half(jnp.float16)
