"""Graphs, sets, factors, and parameters behind a norm of their own."""

import itertools

import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.clinic.data import chain_of_tokens, images, table
from benchmarks.clinic.kit import Model, Training, healthy, sick, squared_error
from benchmarks.clinic.nets import gaussian, haiku, linen


def _graphs(layers: int) -> Model:
    """Graphs of ten nodes on a ring with chords; a node's class is that of its own features."""
    rng = np.random.default_rng(31)
    n, nodes, width = 96, 10, 16
    y = rng.integers(0, 4, (n, nodes))
    x = 0.3 * rng.normal(size=(n, nodes, 8))
    x[..., :4] += np.eye(4)[y]
    ring = np.eye(nodes) + np.roll(np.eye(nodes), 1, 0) + np.roll(np.eye(nodes), -1, 0)
    ring = np.maximum(ring, np.roll(np.eye(nodes), nodes // 2, 0))
    degree = ring.sum(0)
    spread = jnp.asarray(ring / np.sqrt(np.outer(degree, degree)), jnp.float32)
    params = {
        "embed": gaussian(0, 8, width),
        "head": gaussian(1, width, 4),
        "layers": gaussian(2, layers, width, width, gain=2**0.5),
    }

    def net(p, x):
        def layer(h, w):
            return jax.nn.relu(spread @ h @ w), None

        return jax.lax.scan(layer, x @ p["embed"], p["layers"])[0] @ p["head"]

    return Model(net, params, jnp.asarray(x, jnp.float32), jnp.asarray(y))


@sick(
    "nodes all alike",
    ("alike", "same", "smooth", "collapse", "rank", "vanish", "constant", "no spread"),
    lambda: _graphs(2),
    site="layers",
    source="paper",
    training=Training(rate=3e-3),
)
def graph_layers_24() -> Model:
    """Twenty-four graph convolutions without residuals: each averages neighbours, until all nodes
    of a graph are alike. Use few layers, or residuals."""
    return _graphs(24)


@healthy(source="paper", training=Training(rate=3e-3))
def graph_layers_2() -> Model:
    """Two graph convolutions, which leave nodes different."""
    return _graphs(2)


class _Set(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in (48, 48):
            x = nn.elu(nn.Dense(width)(x))
        x = x.sum(1) / x.shape[1] ** 0.5
        return nn.Dense(1, name="head")(nn.elu(nn.Dense(48)(x)))


@healthy(source="paper")
def sum_over_a_set() -> Model:
    """A function of a set: one net for each member, a sum, and a net for the sum."""
    rng = np.random.default_rng(33)
    x = rng.normal(size=(300, 12, 3))
    y = x[..., 0].max(1) + x[..., 1].mean(1)
    target = jnp.asarray(((y - y.mean()) / y.std())[:, None], jnp.float32)
    return linen(_Set(), jnp.asarray(x, jnp.float32), target, loss=squared_error)


class _Conditioned(nn.Module):
    @nn.compact
    def __call__(self, x: dict) -> jax.Array:
        question = nn.Embed(3, 16, name="question")(x["question"])
        h = x["image"]
        for i in range(2):
            h = nn.Conv(16, (3, 3), name=f"conv_{i}")(h)
            h = nn.GroupNorm(4, use_scale=False, use_bias=False)(h)
            scale, shift = jnp.split(nn.Dense(32, name=f"film_{i}")(question), 2, -1)
            h = nn.relu(h * (1 + scale[:, None, None]) + shift[:, None, None])
        return nn.Dense(10, name="head")(h.mean((1, 2)))


@healthy(source="paper", training=Training(rate=3e-3, steps=150))
def features_modulated_by_a_question() -> Model:
    """Feature maps scaled and shifted by a second input."""
    x, y = images(128)
    question = jnp.asarray(np.random.default_rng(35).integers(0, 3, 128))
    inputs = {"image": x, "question": question}
    return linen(_Conditioned(), inputs, (y + 3 * question) % 10)


@healthy(source="paper", training=Training(rate=1e-2, steps=400))
def factors_of_ratings() -> Model:
    """Ratings as the product of a user's and an item's factors, std 0.1, with a bias each."""
    rng = np.random.default_rng(37)
    user, item = rng.integers(0, 40, 800), rng.integers(0, 30, 800)
    truth = (rng.normal(size=(40, 3))[user] * rng.normal(size=(30, 3))[item]).sum(1)
    x = {"item": jnp.asarray(item), "user": jnp.asarray(user)}

    def net(x):
        init = hk.initializers.RandomNormal(0.1)
        users = hk.Embed(40, 8, w_init=init, name="users")(x["user"])
        items = hk.Embed(30, 8, w_init=init, name="items")(x["item"])
        bias = hk.get_parameter("bias", (30,), init=jnp.zeros)[x["item"]]
        return (users * items).sum(-1) + bias

    y = jnp.asarray(truth / truth.std(), jnp.float32)
    return haiku(net, x, y, loss=lambda out, y: jnp.square(out - y))


@healthy(source="paper", training=Training(rate=1e-2))
def words_by_their_neighbours() -> Model:
    """Word vectors by negative sampling: the vectors of contexts start at 0, those of words within
    1/(2 width)."""
    tokens, after = chain_of_tokens(6, 100, 40)
    word, near = tokens.reshape(-1), after.reshape(-1)
    other = jnp.asarray(np.random.default_rng(39).integers(0, 40, (len(word), 4)))
    params = {
        "context": jnp.zeros((40, 16)),
        "word": jax.random.uniform(jax.random.key(5), (40, 16), minval=-1 / 32, maxval=1 / 32),
    }

    def net(p, x):
        chosen = jnp.concatenate([x["near"][:, None], x["other"]], 1)
        return jnp.einsum("nd,nkd->nk", p["word"][x["word"]], p["context"][chosen])

    def loss(score, _):
        return jax.nn.softplus(-score[:, 0]) + jax.nn.softplus(score[:, 1:]).sum(-1)

    x = {"near": near, "other": other, "word": word}
    return Model(net, params, x, jnp.zeros(len(word)), loss)


class _WeightNormalised(nn.Module):
    norm: type

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(3):
            x = nn.relu(self.norm(nn.Dense(64))(x))
        return nn.Dense(10, name="head")(x)


@healthy(source="paper", training=Training(rate=3e-3))
def kernels_of_weight_norm() -> Model:
    """Kernels as a direction times a length, both parameters."""
    return linen(_WeightNormalised(nn.WeightNorm), *table("digits", 300))


@healthy(source="paper", training=Training(rate=3e-3))
def kernels_of_spectral_norm() -> Model:
    """Kernels over their largest singular value, by three power steps from a fixed vector."""
    x, y = table("digits", 300)
    sizes = (64, 64, 64, 10)
    params = {f"w_{i}": gaussian(i, a, b) for i, (a, b) in enumerate(itertools.pairwise(sizes))}

    def norm(w):
        v = jnp.ones(w.shape[1])
        for _ in range(3):
            u = w @ v
            v = w.T @ (u / jnp.linalg.norm(u))
            v = v / jnp.linalg.norm(v)
        return jax.lax.stop_gradient(u / jnp.linalg.norm(u)) @ w @ jax.lax.stop_gradient(v)

    def net(p, x):
        for i in range(3):
            x = x @ (2 * p[f"w_{i}"] / norm(p[f"w_{i}"]))
            x = jax.nn.leaky_relu(x, 0.1) if i < 2 else x
        return x

    return Model(net, params, x, y)


@healthy(source="paper", training=Training(rate=5e-3))
def complex_boltzmann_amplitudes() -> Model:
    """The log amplitude of a restricted Boltzmann machine of complex kernels, small at the start,
    fitted to those of a chain of spins."""
    rng = np.random.default_rng(41)
    x = rng.choice([-1.0, 1.0], (300, 10))
    y = 0.3 * (x * np.roll(x, 1, 1)).sum(1)

    def drawn(std, *shape):
        return jnp.asarray(
            std * (rng.normal(size=shape) + 1j * rng.normal(size=shape)), jnp.complex64
        )

    params = {"hidden": drawn(0.05, 20), "kernel": drawn(0.1, 10, 20), "visible": drawn(0.05, 10)}

    def net(p, x):
        out = jnp.log(jnp.cosh(x @ p["kernel"] + p["hidden"])).sum(-1) + x @ p["visible"]
        return jnp.stack([out.real, out.imag], -1)

    def loss(out, y):
        return jnp.square(out[:, 0] - 1 - y) + 0.1 * jnp.square(jnp.sin(out[:, 1]))

    return Model(net, params, jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32), loss)
