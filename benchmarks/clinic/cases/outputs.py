"""The end of a net: what the loss takes, its scale, and what no output can reach."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.clinic.data import raw_table, regression, table
from benchmarks.clinic.kit import (
    Model,
    Training,
    binary_entropy,
    cross_entropy,
    healthy,
    sick,
    squared_error,
)
from benchmarks.clinic.nets import KEY, dense_stack, equinox, flax_nnx, gaussian, run_stack

SGD = Training("sgd", 0.1)
SQUASHED = ("softmax", "sigmoid", "twice", "probabilit", "bounded", "range")


class _Classifier(eqx.Module):
    mlp: eqx.nn.MLP
    end: object = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.end(self.mlp(x))


def _classifier(end) -> Model:
    mlp = eqx.nn.MLP(64, 10, 96, 2, key=KEY)
    return equinox(_Classifier(mlp, end), *table("digits", 300))


@sick(
    "dead relu on the logits",
    ("dead", "relu"),
    lambda: _classifier(lambda s: s - 1.5),
    site="layers",
    source="question and answer",
    training=SGD,
)
def logits_behind_relu() -> Model:
    """The activation of the hidden layers follows the last one too, whose bias makes all logits
    negative: all are 0, and so is the gradient. No activation on the logits."""
    return _classifier(lambda s: jax.nn.relu(s - 1.5))


@healthy(source="documentation", training=SGD)
def logits_plain() -> Model:
    """The same with nothing behind the last layer."""
    return _classifier(lambda s: s)


@sick(
    "softmax twice",
    ("softmax", "twice", "probabilit"),
    lambda: _classifier(lambda s: s),
    source="issue thread",
    training=Training("sgd", 0.1, 200),
)
def softmax_before_the_loss() -> Model:
    """The model ends in a softmax and the loss takes one more: its cost can't fall below 1.46 for
    ten classes. Return logits."""
    return _classifier(jax.nn.softmax)


def _tumours(end, loss) -> Model:
    x, y = table("breast_cancer", 300)
    params = dense_stack([30, 48, 48, 1], 2**0.5)
    return Model(lambda p, x: end(run_stack(p, x, jax.nn.relu)), params, x, y, loss)


def _binary_of_probability(p: jax.Array, label: jax.Array) -> jax.Array:
    p = jnp.clip(p[:, 0], 1e-7, 1 - 1e-7)
    return -jnp.where(label == 1, jnp.log(p), jnp.log(1 - p))


def _binary_logit() -> Model:
    return _tumours(lambda s: s, binary_entropy)


@sick(
    "softmax over one",
    ("softmax", "one value", "one unit", "size 1", "constant"),
    _binary_logit,
    source="issue thread",
    training=SGD,
)
def softmax_over_one_unit() -> Model:
    """A binary classifier of one output unit behind a softmax: its output is 1 for every example
    and every kernel. Use a sigmoid, or two units."""
    return _tumours(jax.nn.softmax, _binary_of_probability)


@sick(
    "sigmoid twice",
    SQUASHED,
    _binary_logit,
    source="documentation",
    training=Training("sgd", 0.1, 400),
)
def sigmoid_before_the_loss() -> Model:
    """The model ends in a sigmoid and the loss takes logits: it sees 0 to 1 alone, so that no
    example of class 0 can cost less than 0.69. Return the logit."""
    return _tumours(jax.nn.sigmoid, binary_entropy)


def _relative(output: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean(jnp.square(output - y)) / jnp.var(y)


class _Regression(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        he = nnx.initializers.he_normal()
        self.first = nnx.Linear(10, 64, kernel_init=he, rngs=rngs)
        self.second = nnx.Linear(64, 64, kernel_init=he, rngs=rngs)
        self.out = nnx.Linear(64, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.out(nnx.relu(self.second(nnx.relu(self.first(x)))))


def _regression(level: float, spread: float) -> Model:
    x, y = regression()
    return flax_nnx(_Regression(nnx.Rngs(1)), x, level + spread * y, loss=squared_error)


@sick(
    "target scale",
    ("target", "loss", "cost", "of y"),
    lambda: _regression(0.0, 1.0),
    site="out",
    source="question and answer",
    training=Training(measure=_relative),
)
def targets_of_500() -> Model:
    """Targets of 500 and up and down by 230, from outputs that start at 1: the cost starts at
    300 000 and all updates go into the level. Standardise the targets."""
    return _regression(500.0, 230.0)


@healthy(source="textbook", training=Training(measure=_relative))
def targets_standardised() -> Model:
    """The same with standardised targets."""
    return _regression(0.0, 1.0)


def _disease(end) -> Model:
    x, _ = table("diabetes", 300)
    _, y = raw_table("diabetes", 300)
    params = dense_stack([10, 64, 64, 1], 2**0.5)
    params["layer_02"]["b"] = jnp.asarray([float(y.mean())]) if end is None else jnp.zeros(1)
    net = lambda p, x: run_stack(p, x, jax.nn.relu)  # noqa: E731
    apply = net if end is None else lambda p, x: end(net(p, x))
    return Model(apply, params, x, y[:, None].astype(jnp.float32), squared_error)


@sick(
    "output out of reach",
    ("target", "range", "reach", "bounded", "tanh", "saturat", "loss", "cost"),
    lambda: _disease(None),
    source="question and answer",
    training=Training(rate=1e-2),
)
def tanh_output_for_targets_of_300() -> Model:
    """A tanh behind the last layer, targets between 25 and 346: the output can't leave -1 to 1, and
    where it strives to it saturates. No function there, or targets scaled into its range."""
    return _disease(jnp.tanh)


class _LateNorm(nnx.Module):
    def __init__(self, late: bool, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(10, 48, rngs=rngs)
        self.norm = nnx.LayerNorm(48, rngs=rngs)
        self.out = nnx.Linear(48, 1, rngs=rngs)
        self.late = nnx.LayerNorm(1, rngs=rngs) if late else None

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.out(nnx.relu(self.norm(self.first(x))))
        return x if self.late is None else self.late(x)


def _late_norm(late: bool) -> Model:
    return flax_nnx(_LateNorm(late, nnx.Rngs(2)), *regression(), loss=squared_error)


@sick(
    "layer norm of one",
    ("norm", "one value", "one unit", "one feature", "size 1", "constant", "no gradient"),
    lambda: _late_norm(False),
    site="out",
    source="issue thread",
)
def layer_norm_of_one_unit() -> Model:
    """A layer norm behind a single output: one number less its own mean is 0, for every example.
    No norm there."""
    return _late_norm(True)


def _cosine_head(scale: float) -> Model:
    x, y = table("digits", 300)
    params = {"body": dense_stack([64, 96, 48], 2**0.5), "classes": gaussian(9, 48, 10)}

    def net(p, x):
        h = run_stack(p["body"], x, jax.nn.relu)
        h = h / jnp.sqrt(jnp.square(h).sum(-1, keepdims=True) + 1e-6)
        w = p["classes"] / jnp.linalg.norm(p["classes"], axis=0)
        return scale * (h @ w)

    return Model(net, params, x, y)


@sick(
    "logits too small",
    ("logit", "scale", "bounded", "range", "softmax", "cosine", "temperature"),
    lambda: _cosine_head(16.0),
    source="paper",
)
def cosine_logits_unscaled() -> Model:
    """Logits that are cosines, between -1 and 1: for ten classes the cost can't fall below 0.79.
    Multiply them by a scale of ten or more."""
    return _cosine_head(1.0)


def _broadcast(output: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.square(output - y).mean(-1)  # [n, 1] less [n] is [n, n]


def _flat(output: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.square(output[:, 0] - y)


def _explained(output: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean(jnp.square(output[:, 0] - y)) / jnp.var(y)


def _shapes(loss) -> Model:
    x, y = regression()
    params = dense_stack([10, 64, 1], 2**0.5)
    return Model(lambda p, x: run_stack(p, x, jax.nn.relu), params, x, y[:, 0], loss)


@sick(
    "loss of mixed shapes",
    ("broadcast", "shape", "other example", "each example", "mixes", "target of"),
    lambda: _shapes(_flat),
    source="question and answer",
    training=Training(rate=3e-3, measure=_explained),
)
def loss_over_all_pairs() -> Model:
    """Outputs ``[n, 1]`` less targets ``[n]`` make ``[n, n]``: every output is drawn to all targets
    and so to their mean. Give both one shape."""
    return _shapes(_broadcast)


def _pairs(scale: float) -> Model:
    rng = np.random.default_rng(6)
    hidden = rng.normal(size=(256, 8))
    views = {
        "image": np.tanh(hidden @ rng.normal(size=(8, 24))),
        "text": np.sin(hidden @ rng.normal(size=(8, 16))),
    }
    x = {name: jnp.asarray(view, jnp.float32) for name, view in views.items()}
    params = {
        "image": dense_stack([24, 64, 16], 2**0.5),
        "log_scale": jnp.log(jnp.asarray(scale)),
        "text": dense_stack([16, 64, 16], 2**0.5),
    }

    def net(p, x):
        ends = []
        for name in ("image", "text"):
            h = run_stack(p[name], x[name], jax.nn.gelu)
            ends.append(h / jnp.linalg.norm(h, axis=-1, keepdims=True))
        return jnp.exp(p["log_scale"]) * ends[0] @ ends[1].T

    def loss(logits, _):
        own = jnp.arange(len(logits))
        return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2

    return Model(net, params, x, jnp.zeros(256), loss)


@sick(
    "temperature too small",
    ("logit", "temperature", "scale", "loss", "cost", "softmax", "one-hot", "entropy"),
    lambda: _pairs(1 / 0.07),
    source="issue thread",
    training=Training("sgd", 0.1, 400),
)
def contrastive_scale_3000() -> Model:
    """Two towers compared by cosines times 3000, a temperature mistaken for its inverse or drawn
    too low: each row's softmax has one winner, mostly a wrong one. Start at 1/0.07."""
    return _pairs(3000.0)


@healthy(source="paper", training=Training(rate=3e-3))
def contrastive_two_towers() -> Model:
    """Two towers compared by cosines at the published temperature; costs compare all pairs."""
    return _pairs(1 / 0.07)
