"""Sites of models that few people write; several outputs; graphs; what can't be diagnosed."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import glorot_jax as gj
from glorot_jax.diagnosis import site_statistics, trace
from glorot_jax.losses import cross_entropy
from tests.diagnosis.models import CLASSES, INPUTS, N, examples, labels
from tests.diagnosis.more_models import EXPERTS, MORE, WIDTH

_DIFFERENTIABLE = [name for name in MORE if name not in ("with_a_key", "with_places_left_empty")]


@cache
def _traced(name):
    model = MORE[name]()
    return model, trace(model.apply, model.params, model.x)


@cache
def _measured(name):
    model, traced = _traced(name)
    measure = jax.jit(lambda p, x: site_statistics(traced, p, x, labels()))
    return model, traced, measure(model.params, model.x)


def _cost(outputs):
    return jnp.mean(cross_entropy(outputs, labels()))


@pytest.mark.parametrize("name", MORE)
def test_sites_are_those_a_reader_names(name):
    model, traced = _traced(name)
    assert {site.name: site.kind for site in traced.sites} == model.sites
    assert sorted({one.name for one in traced.unreached}) == sorted(model.unreached)


@pytest.mark.parametrize("name", _DIFFERENTIABLE)
def test_outputs_and_gradients_are_the_models_own(name):
    model, traced = _traced(name)

    @jax.jit
    def both(params):
        ours = jax.value_and_grad(lambda p: _cost(traced.run(p, model.x).outputs))(params)
        return ours, jax.value_and_grad(lambda p: _cost(model.apply(p, model.x)))(params)

    for a, b in zip(*map(jax.tree.leaves, both(model.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["gathered_experts", "vmapped_gathered_experts", "ragged", "shard_mapped"]
)
def test_weight_gradients_are_those_of_the_model(name):
    model, traced, measured = _measured(name)
    gradients = jax.jit(jax.grad(lambda p: _cost(model.apply(p, model.x))))(model.params)
    expected = [jnp.linalg.norm(gradients[row.name].reshape(-1)) for row in traced.rows()]
    np.testing.assert_allclose(measured["dw_norm"], expected, rtol=1e-4, atol=1e-7)


def test_an_expert_has_the_fans_of_one_kernel():
    _, traced, measured = _measured("gathered_experts")
    (row,) = (i for i, one in enumerate(traced.rows()) if one.name == "w")
    assert (traced.rows()[row].fan_in, traced.rows()[row].fan_out) == (WIDTH, WIDTH)
    assert traced.sites[row].kernel.shape == (EXPERTS, WIDTH, WIDTH)
    assert np.isfinite(measured["dead"][row])


def test_complex_values_count_both_parts():
    model, traced, measured = _measured("complex_kernel")
    row = [one.name for one in traced.rows()].index("w")
    w = np.asarray(model.params["w"], np.complex128)
    h = np.tanh(np.asarray(model.x, np.float64) @ np.asarray(model.params["first"], np.float64))
    s = h @ w + np.asarray(model.params["b"])[None]
    gradients = jax.grad(lambda p: _cost(model.apply(p, model.x)))(model.params)
    flat = np.stack([s.real, s.imag], -1)
    directions = flat.reshape(N, -1) / np.linalg.norm(flat.reshape(N, -1), axis=1, keepdims=True)
    expected = {
        "gain": WIDTH * np.mean(np.abs(w - w.mean()) ** 2),
        "kernel_norm": np.linalg.norm(w),
        "kernel_std": np.sqrt(np.mean(np.abs(w - w.mean()) ** 2)),
        "s_mean": np.abs(s.mean()),
        "s_std": np.sqrt(np.mean(np.abs(s - s.mean()) ** 2)),
        "s_mean_square": np.mean(np.abs(s) ** 2),
        "s_quantile": np.quantile(flat, (0.02, 0.5, 0.98)),
        "s_cosine": (directions @ directions.T)[np.triu_indices(N, 1)].mean(),
        "dw_norm": np.linalg.norm(gradients["w"]),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name][row], value, rtol=1e-4, err_msg=name)


def test_calibration_keeps_both_parts():
    model, traced = _traced("complex_kernel")
    made = gj.calibrate(model.apply, model.params, model.x, labels())
    factor = made.factors["w"]
    assert factor != 1
    np.testing.assert_allclose(made.params["w"], factor * model.params["w"], rtol=1e-5)
    row = [one.name for one in traced.rows()].index("w")
    assert made.after.values["s_std"][row] == pytest.approx(1, rel=0.02)


def test_a_while_is_seen_at_its_first_and_last_turn():
    model, traced, measured = _measured("equilibrium")
    rows = [i for i, row in enumerate(traced.rows()) if row.name == "w"]
    assert [traced.rows()[row].step for row in rows] == [(0,), (1,)]
    h = np.tanh(np.asarray(model.x) @ np.asarray(model.params["first"]))
    z = np.tanh(h)
    turns = [z]
    while np.abs(turns[-1] - np.tanh(turns[-1] @ model.params["w"] / 3 + h)).max() > 1e-4:
        turns.append(np.tanh(turns[-1] @ np.asarray(model.params["w"]) / 3 + h))
    for row, seen in zip(rows, (turns[0], turns[-1]), strict=True):
        assert measured["z_std"][row] == pytest.approx(seen.std(), rel=1e-3)
    assert np.isnan(measured["ds_norm"][np.array(rows)]).all()
    assert "without gradients" in " ".join(one.reason for one in traced.unreached)


def test_a_kernel_is_dead_where_it_is_so_at_every_position():
    """One unit of a convolution answers in one corner only; another nowhere."""

    def apply(params, x):
        dimensions = ("NHWC", "HWIO", "NHWC")
        s = jax.lax.conv_general_dilated(x, params["w"], (1, 1), "SAME", None, None, dimensions)
        return jnp.mean(jax.nn.relu(s), axis=(1, 2)) @ params["out"]

    x = jnp.zeros((N, 3, 3, 1)).at[:, 0, 0].set(1.0)
    w = jnp.asarray([1.0, -1.0]).reshape(1, 1, 1, 2)
    params = {"w": w, "out": jnp.ones((2, CLASSES))}
    traced = trace(apply, params, x)
    measured = jax.jit(lambda p, x: site_statistics(traced, p, x, labels()))(params, x)
    assert measured["dead"][0] == 0.5


def test_a_number_may_be_reshaped_or_added_beside_experts():
    """A literal has no hash: it isn't looked for among what was looked up."""

    def apply(params, x):
        scale = jax.lax.reshape(jnp.float32(2), (1, 1))
        chosen = jnp.argmax(x[:, :EXPERTS], axis=1)
        return jnp.einsum("ni,nij->nj", scale * x, params["w"][chosen]) + 1.0

    traced = trace(apply, {"w": jnp.ones((EXPERTS, INPUTS, CLASSES))}, examples())
    assert [(site.name, site.kind) for site in traced.sites] == [("w", "dense")]


def _norm(h):
    mean = jnp.mean(h, axis=1, keepdims=True)
    square = jnp.mean(jnp.square(h), axis=1, keepdims=True)
    return (h - mean) / jnp.sqrt(square - jnp.square(mean) + 1e-6)


@pytest.mark.parametrize(
    "after", [_norm, lambda s: s + jnp.tanh(s).sum(1, keepdims=True), jax.nn.softmax]
)
def test_a_normalisation_is_no_activation(after):
    traced = trace(lambda p, x: after(x @ p["w"]) @ p["v"], _two_layers(), examples())
    assert [site.activation for site in traced.sites] == [None, None]


def _two_layers():
    return {"w": jnp.ones((INPUTS, WIDTH)), "v": jnp.ones((WIDTH, CLASSES))}


def _two_heads(params, x):
    h = jnp.tanh(x @ params["w"])
    return {"policy": h @ params["v"], "value": (h @ params["u"])[:, 0]}


def _actor_critic(outputs, y):
    policy = cross_entropy(outputs["policy"], y["action"])
    return policy + jnp.square(outputs["value"] - y["return"])


def test_several_outputs_are_what_the_loss_takes():
    params = {**_two_layers(), "u": jnp.full((WIDTH, 1), 0.5)}
    y = {"action": labels(), "return": jnp.linspace(-1, 1, N)}
    report = gj.diagnose(_two_heads, params, examples(), y, loss=_actor_critic)
    assert report.data.site.values.tolist() == ["w", "v", "u"]
    gradients = jax.grad(lambda p: jnp.mean(_actor_critic(_two_heads(p, examples()), y)))(params)
    expected = [np.linalg.norm(gradients[name]) for name in "wvu"]
    np.testing.assert_allclose(report.data.dw_norm[0], expected, rtol=1e-4)
    jacobian = jax.jacrev(lambda x: jnp.append(*_two_heads(params, x[None]).values()))
    largest = [np.linalg.norm(jacobian(x), 2) for x in examples()]
    assert report.data.whole_sigma_max[0] == pytest.approx(np.mean(largest), rel=1e-4)
    made = gj.calibrate(_two_heads, params, examples())
    np.testing.assert_allclose(made.after.values["s_std"], 1, rtol=0.01)


def test_a_batch_of_graphs_has_as_many_examples_as_costs():
    def apply(params, graphs):
        h = jnp.tanh(graphs["nodes"] @ params["w"])
        return jax.ops.segment_sum(h, graphs["graph"], 3) @ params["v"]

    graphs = {"nodes": examples(), "graph": jnp.asarray([0, 0, 1, 2, 2, 2]), "size": jnp.ones(3)}
    y = jnp.asarray([0, 1, 2])
    report = gj.diagnose(apply, _two_layers(), graphs, y)
    assert report.data.attrs["examples"] == 3
    with pytest.raises(ValueError, match=r"^x: its arrays hold \[3, 6\] examples.*; n says how"):
        trace(apply, _two_layers(), graphs)
    assert trace(apply, _two_layers(), graphs, n=3).n == 3


def test_latents_can_be_named_as_signal():
    """A query made of parameters alone, which meets x after a layer of its own."""

    def apply(params, x):
        query = jnp.tanh(params["latents"] @ params["w"])
        return x @ (params["v"] * query.sum())

    params = {**_two_layers(), "latents": jnp.ones((2, INPUTS))}
    params["v"] = jnp.ones((INPUTS, CLASSES))
    assert {site.name for site in trace(apply, params, examples()).sites} == {"latents+v+w"}
    traced = trace(apply, params, examples(), signal=("latents",))
    assert "w" in {site.name for site in traced.sites}
    with pytest.raises(ValueError, match=r"^signal: latent is not one of the parameters"):
        trace(apply, params, examples(), signal=("latent",))


def _linear(params, x):
    return x @ params["w"] @ params["v"]


def _mean_cost(*args):
    return jnp.mean(cross_entropy(*args))


@pytest.mark.parametrize(
    ("args", "loss", "message"),
    [
        ((_linear, _two_layers(), examples(), labels()), _mean_cost, "leave out its mean or sum$"),
        (
            (_linear, _two_layers(), examples(), jax.nn.one_hot(labels(), CLASSES)),
            cross_entropy,
            r"^y: \[6, 3\] is shaped like the outputs, where class numbers \[6\]",
        ),
        (
            (_linear, _two_layers(), examples(), labels() + 1),
            cross_entropy,
            "^y: holds label 3, and there are 3 classes from 0 on$",
        ),
        (
            (_two_layers(), _linear, examples(), labels()),
            cross_entropy,
            "^apply_fn: is of type dict, not a function; the order is apply_fn, params, x$",
        ),
        (
            (_linear, _two_layers(), labels(), examples()),
            cross_entropy,
            "^apply_fn: fails for x int32.*; it runs for y: are x and y swapped?",
        ),
    ],
)
def test_what_is_not_right_is_one_sentence_that_says_what_to_change(args, loss, message):
    with pytest.raises(ValueError, match=message) as error:
        gj.monitor(*args, loss=loss)
    assert "\n" not in str(error.value)
