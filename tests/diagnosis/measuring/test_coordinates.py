"""Sizes of signals over a few updates, against a loop that does them one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.coordinates import Learner, coordinates
from glorot_jax.diagnosis.tracing.scores import expose_scores
from glorot_jax.losses import cross_entropy
from tests.diagnosis.widths import LAYERS, examples, mlp, sentences, transformer

WIDTH, STEPS = 12, 3
KEYS = jax.random.split(jax.random.key(1), 2)


@pytest.fixture(autouse=True)
def _as_optax_promotes():
    """Its Adam takes a Python float to the power of an int32."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def _learner(functions, x, y, optimizer):
    init, apply_fn = functions
    params = jax.eval_shape(init, jax.random.key(0))
    traced = trace_with_costs(apply_fn, params, x, y, loss=cross_entropy)
    return Learner(*expose_scores(traced), init, apply_fn, cross_entropy, optimizer)


def _trajectory(learner, key, x, y):
    """Parameters at the start and after each update."""
    params = learner.init(key)
    state = learner.optimizer.init(params)
    cost = jax.jit(jax.grad(lambda p: jnp.mean(cross_entropy(learner.apply_fn(p, x), y))))
    yield params
    for _ in range(STEPS):
        updates, state = learner.optimizer.update(cost(params), state, params)
        params = optax.apply_updates(params, updates)
        yield params


def _layers(params, x):
    """z and s of each layer of the MLP, in double precision."""
    z, seen = np.asarray(x, np.float64), []
    for name in LAYERS:
        s = z @ np.asarray(params[name], np.float64)
        seen.append((z, s))
        z = np.tanh(s)
    return seen


@pytest.mark.parametrize("optimizer", [optax.sgd(0.3, momentum=0.5), optax.adam(0.03)])
def test_an_mlp_against_numpy(optimizer):
    x, y = examples()
    learner = _learner(mlp(WIDTH), x, y, optimizer)
    found = coordinates(learner, x, y, KEYS, steps=STEPS)
    assert [row.label for row in learner.rows()] == list(LAYERS)
    assert found["s_std"].shape == (2, STEPS + 1, 5)
    for seed, key in enumerate(KEYS):
        nets = list(_trajectory(learner, key, x, y))
        start = _layers(nets[0], x)
        rms = [np.sqrt(np.mean(np.square(z))) for z, _ in start]
        np.testing.assert_allclose(found["z_rms"][seed], rms, rtol=1e-5)
        for step, params in enumerate(nets):
            now = _layers(params, x)
            sizes = [s.std() for _, s in now]
            np.testing.assert_allclose(found["s_std"][seed, step], [*sizes, sizes[-1]], rtol=1e-4)
            if step:
                pairs = list(zip(now, start, strict=True))
                change = [(s - s_start).std() for (_, s), (_, s_start) in pairs]
                own = [
                    (z @ (np.float64(params[name]) - np.float64(nets[0][name]))).std()
                    for (z, _), name in zip(start, LAYERS, strict=True)
                ]
                np.testing.assert_allclose(
                    found["change_std"][seed, step - 1], [*change, change[-1]], rtol=1e-3
                )
                np.testing.assert_allclose(found["update_std"][seed, step - 1], own, rtol=1e-3)


def test_layers_in_a_scan_are_rows_like_layers_one_by_one():
    x, y = examples()
    init, apply_fn = mlp(WIDTH)

    def scanned(params, x):
        stack = jnp.stack([params["mid"], params["top"]])
        h = jnp.tanh(x @ params["in"])
        h = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), h, stack)[0]
        return h @ params["out"]

    flat = coordinates(_learner((init, apply_fn), x, y, optax.sgd(0.1)), x, y, KEYS[:1], steps=2)
    learner = _learner((init, scanned), x, y, optax.sgd(0.1))
    steps = coordinates(learner, x, y, KEYS[:1], steps=2)
    assert [row.label for row in learner.rows()][1:3] == ["mid+top[0]", "mid+top[1]"]
    for name, values in flat.items():
        np.testing.assert_allclose(steps[name], values, rtol=1e-3, err_msg=name)


def test_scores_of_attention_where_no_mask_hides_them():
    x, y = sentences()
    learner = _learner(transformer(16, False, lambda size: size**-0.5), x, y, optax.sgd(0.1))
    row = next(one for one in learner.rows() if one.scores)
    assert row.label == "scores(k, q)"
    assert {one.label for one in learner.rows() if one.feeds_scores} == {"q", "k"}
    found = coordinates(learner, x, y, KEYS[:1], steps=1)
    scores = []
    for params in list(_trajectory(learner, KEYS[0], x, y))[:2]:
        h = np.float64(params["embed"])[np.asarray(x)] + np.float64(params["place"])
        z = h / np.sqrt(np.mean(h**2, axis=-1, keepdims=True) + 1e-6)
        q, k = (np.einsum("btn,nhd->bhtd", z, np.float64(params[name])) for name in "qk")
        whole = np.einsum("bhtd,bhsd->bhts", q, k) * 8**-0.5
        scores.append(whole[:, :, np.tril(np.ones(whole.shape[2:], bool))])
    place = [one.label for one in learner.rows()].index(row.label)
    np.testing.assert_allclose(found["s_std"][0, :, place], [a.std() for a in scores], rtol=1e-4)
    change = (scores[1] - scores[0]).std()
    np.testing.assert_allclose(found["change_std"][0, 0, place], change, rtol=1e-3)
    assert found["update_std"].shape[-1] == sum(not one.scores for one in learner.rows())


@pytest.mark.parametrize(
    ("optimizer", "response"),
    [
        (optax.sgd(0.1), 1.0),
        (optax.sgd(0.1, momentum=0.9, nesterov=True), 1.0),
        (optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.1)), 1.0),
        (optax.adamw(1e-3, weight_decay=0.1), 0.0),
        (optax.lion(1e-3), 0.0),
        (optax.chain(optax.scale_by_factored_rms(), optax.scale(-0.01)), 0.0),
    ],
    ids=["sgd", "momentum", "decay", "adamw", "lion", "adafactor"],
)
def test_how_an_optimizer_responds_to_a_gradient_twice_as_large(optimizer, response):
    x, y = examples()
    found = coordinates(_learner(mlp(8), x, y, optimizer), x, y, KEYS[:1], steps=1)
    np.testing.assert_allclose(found["response"], response, atol=0.02)


def test_an_embeddings_indices_have_no_size():
    x, y = sentences()
    learner = _learner(transformer(8, False, lambda size: 1.0), x, y, optax.sgd(0.1))
    z_rms = coordinates(learner, x, y, KEYS[:1], steps=1)["z_rms"]
    known = {
        row.label: np.isfinite(size) for row, size in zip(learner.rows(), z_rms[0], strict=False)
    }
    assert not known.pop("embed")
    assert all(known.values())
