"""The styles that people write models in, each diagnosed whole and unmodified."""

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import glorot_jax as gj
from glorot_jax.diagnosis.reporting.names import names_of
from glorot_jax.diagnosis.reporting.table import MOST_ROWS

N, CLASSES, WIDTH, HEADS, TOKENS = 8, 3, 8, 2, 5
KEY = jax.random.key(0)


def _labels():
    return jnp.asarray(np.random.default_rng(0).integers(CLASSES, size=N, dtype=np.int32))


def _examples(*shape):
    return jnp.asarray(np.random.default_rng(1).normal(size=(N, *shape)).astype(np.float32))


class CNN(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.relu(nn.Dense(WIDTH)(x.reshape(x.shape[0], -1)))
        return nn.Dense(CLASSES)(x)


def linen_cnn():
    x = _examples(6, 6, 2)
    names = {f"params/{name}/kernel" for name in ("Conv_0", "Dense_0", "Dense_1")}
    return CNN().apply, jax.jit(CNN().init)(KEY, x), x, names


class Block(nnx.Module):
    """Attention and a wide layer, each after a norm and beside a residual connection."""

    def __init__(self, rngs):
        self.before_attention = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.before_mlp = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.up = nnx.Linear(WIDTH, 2 * WIDTH, rngs=rngs)
        self.down = nnx.Linear(2 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, h):
        h = h + self.attention(self.before_attention(h))
        return h + self.down(nnx.gelu(self.up(self.before_mlp(h))))


class Transformer(nnx.Module):
    def __init__(self, rngs):
        self.table = nnx.Embed(11, WIDTH, rngs=rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(2)])
        self.head = nnx.Linear(WIDTH, CLASSES, rngs=rngs)

    def __call__(self, tokens):
        h = self.table(tokens)
        for block in self.blocks:
            h = block(h)
        return self.head(jnp.mean(h, axis=1))


def nnx_transformer():
    graph, params = nnx.split(Transformer(nnx.Rngs(0)))
    tokens = np.random.default_rng(2).integers(11, size=(N, TOKENS), dtype=np.int32)
    inside = [*(f"attention/{name}" for name in ("query", "key", "value", "out")), "up", "down"]
    names = {f"blocks/{i}/{name}/kernel" for i in range(2) for name in inside}
    apply = lambda p, x: nnx.merge(graph, p)(x)  # noqa: E731
    return apply, params, jnp.asarray(tokens), names | {"table/embedding", "head/kernel"}


def equinox_mlp():
    whole = eqx.nn.MLP(WIDTH, CLASSES, WIDTH, 2, key=KEY)
    params, static = eqx.partition(whole, eqx.is_inexact_array)
    apply = lambda p, x: jax.vmap(eqx.combine(p, static))(x)  # noqa: E731
    return apply, params, _examples(WIDTH), {f"layers/{i}/weight" for i in range(3)}


def haiku_mlp():
    model = hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP([WIDTH, CLASSES])(x)))
    x = _examples(WIDTH)
    names = {f"mlp/~/linear_{i}/w" for i in range(2)}
    return model.apply, jax.jit(model.init)(KEY, x), x, names


def plain_function():
    def apply(params, x):
        return jnp.tanh(x @ params["in"]) @ params["out"]

    params = {"in": _examples(WIDTH, WIDTH)[0] / 3, "out": _examples(WIDTH, CLASSES)[0] / 3}
    return apply, params, _examples(WIDTH), {"in", "out"}


def scanned_64_layers():
    def apply(params, x):
        h, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, params["layers"])
        return h @ params["out"]

    layers = np.random.default_rng(3).normal(size=(64, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    params = {"layers": jnp.asarray(layers, jnp.float32), "out": jnp.ones((WIDTH, CLASSES))}
    return apply, params, _examples(WIDTH), {f"layers[{i}]" for i in range(64)} | {"out"}


EXAMPLES = (linen_cnn, nnx_transformer, equinox_mlp, haiku_mlp, plain_function, scanned_64_layers)


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda make: make.__name__)
def example(request):
    apply, params, x, names = request.param()
    return apply, params, x, names, gj.diagnose(apply, params, x, _labels())


def test_every_site_is_measured(example):
    *_, names, report = example
    data = report.to_dataset()
    assert set(data.site.values) == names
    assert report.unreached == ()
    tables = (data.kind == "embedding").values
    for name in ("s_std", "s_cosine", "ds_std", "dw_ratio", "gain", "to_output_sigma_mean"):
        assert np.isfinite(data[name].values).all(), name
    for name in ("z_std", "sigma_mean", "sigma_max"):
        assert (np.isfinite(data[name].values) == ~tables).all(), name
    assert np.isfinite(data.whole_sigma_mean).all()


def test_the_logits_are_the_models(example):
    apply, params, x, _, report = example
    data = report.to_dataset().isel(seed=0)
    logits = np.asarray(jax.jit(apply)(params, x), np.float64)
    assert float(data.s_mean_square[-1]) == pytest.approx((logits**2).mean(), rel=1e-4)


def test_it_can_be_printed_and_drawn(example):
    *_, names, report = example
    cut = {names_of(sorted(names)).cut(name) for name in names}
    table = report.table(order="worst", width=140).splitlines()
    shown = [line for line in table if cut & set(line.split()[:2])]
    assert len(shown) == min(len(names), MOST_ROWS)
    assert "Verdict" in str(report)
    assert len(report.plot().axes) == 7
