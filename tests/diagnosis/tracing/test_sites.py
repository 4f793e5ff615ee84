"""Sites of models in every style: the model is untouched, and what is seen is what is there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.diagnosis import Unreached, trace
from glorot_jax.losses import cross_entropy
from tests.diagnosis.models import (
    CLASSES,
    INPUTS,
    MODELS,
    OTHERS,
    N,
    examples,
    labels,
    seen,
    traced,
)

TOLERANCE = {"rtol": 2e-5, "atol": 1e-6}  # float32, sums in another order


@pytest.fixture(params=[*MODELS, *OTHERS])
def name(request):
    if request.param in OTHERS:
        pytest.importorskip(request.param)
    return request.param


def _cost(logits):
    return jnp.mean(cross_entropy(logits, labels()))


def _close(ours, theirs):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, **TOLERANCE)


def test_sites_are_those_a_reader_names(name):
    model, found = traced(name)
    assert {site.name: site.kind for site in found.sites} == model.sites
    assert sorted({one.name for one in found.unreached}) == sorted(model.unreached)
    assert {row.name for row in found.rows()} == set(model.sites)


def test_outputs_and_gradients_are_the_models_own(name):
    model, found = traced(name)

    @jax.jit
    def both(params):
        ours = jax.value_and_grad(lambda p: _cost(found.run(p, model.x).outputs))(params)
        return ours, jax.value_and_grad(lambda p: _cost(model.apply(p, model.x)))(params)

    _close(*both(model.params))


def test_z_and_s_are_those_of_the_equations():
    model, _ = traced("plain_mlp")
    first, middle, last = (model.params[name] for name in ("first", "middle", "last"))
    z = [model.x]
    s = []
    for layer in (first, middle, last):
        s.append(z[-1] @ layer["w"] + layer["b"][None])
        z.append(jnp.tanh(s[-1]))
    found = seen("plain_mlp")
    _close((found.z, found.s), (tuple(z[:-1]), tuple(s)))
    _close(found.kernels, tuple(layer["w"] for layer in (first, middle, last)))
    _close(found.outputs, s[-1])


@pytest.mark.parametrize("same", ["jitted", "product_and_bias_in_two_jits", "remat"])
def test_what_surrounds_a_layer_does_not_change_what_is_seen(same):
    _close(seen("plain_mlp"), seen(same))
    assert traced("plain_mlp")[1].rows() == traced(same)[1].rows()


def test_taps_are_added_to_s():
    model, found = traced("plain_mlp")
    plain = seen("plain_mlp")
    perturbations = list(found.perturbations())
    perturbations[1] = perturbations[1] + 0.5
    moved = jax.jit(found.run)(model.params, model.x, perturbations)
    _close((moved.s[0], moved.s[1]), (plain.s[0], plain.s[1] + 0.5))
    _close(moved.z[2], jnp.tanh(plain.s[1] + 0.5))


@pytest.mark.parametrize("rule", ["custom_jvp", "custom_vjp"])
def test_inside_a_rule_of_its_own_dc_ds_is_that_of_the_equations(rule):
    model, found = traced(rule)
    index = [site.name for site in found.sites].index("middle/w")
    cost = jax.jit(
        jax.grad(
            lambda perturbations: _cost(found.run(model.params, model.x, perturbations).outputs)
        )
    )
    ds, flow = cost(found.perturbations()), seen(rule)

    def above(s):
        last = model.params["last"]
        return _cost(jnp.tanh(s) @ last["w"] + last["b"][None])

    np.testing.assert_allclose(ds[index], jax.grad(above)(flow.s[index]), **TOLERANCE)
    # The rule halves the kernel's gradient; the model keeps it, so the two must differ.
    own = jax.jit(jax.grad(lambda p: _cost(found.run(p, model.x).outputs)))(model.params)["middle"][
        "w"
    ]
    assert not np.allclose(own, flow.z[index].T @ ds[index], rtol=0.1)


def test_a_kernel_shared_by_the_steps_of_a_scan_is_there_once():
    for site, kernel in zip(traced("recurrent")[1].sites, seen("recurrent").kernels, strict=True):
        assert kernel.shape == site.kernel.shape
    model, found = traced("nested_scans")
    kernels = dict(
        zip([site.name for site in found.sites], seen("nested_scans").kernels, strict=True)
    )
    _close(kernels["middle/own"], model.params["middle"]["own"])
    _close(kernels["middle/shared"], model.params["middle"]["shared"])


def test_rows_of_a_scan_are_in_the_order_of_its_steps():
    _, found = traced("nested_scans")
    steps = [(row.name, row.step) for row in found.rows()]
    inside = [
        (name, (group, layer))
        for group in range(2)
        for layer in range(3)
        for name in ("middle/own", "middle/shared")
    ]
    assert steps == [("first/w", ()), *inside, ("last/w", ())]


@pytest.mark.parametrize(
    ("name", "site", "fans"),
    [
        # Side by side, three kernels of four units see the same signal.
        ("vmapped_experts", "middle/w", (4, 3 * 4)),
        ("linen_cnn_with_attention", "params/conv/kernel", (9 * 2, 9 * 4)),
        # Two groups: a unit sees 2 of 4 channels, a channel is seen by 4 of 8 units.
        ("linen_cnn_with_attention", "params/grouped/kernel", (9 * 2, 9 * 4)),
        # Two heads of 4 of 8 features.
        ("linen_cnn_with_attention", "params/attention/query/kernel", (8, 8)),
        ("linen_cnn_with_attention", "params/attention/out/kernel", (8, 8)),
        ("embedding", "table", (11, 4)),
    ],
)
def test_fans(name, site, fans):
    _, found = traced(name)
    assert fans in {(row.fan_in, row.fan_out) for row in found.rows() if row.name == site}


def test_the_axis_of_the_examples_is_found_wherever_it_is():
    def apply(params, x):
        return (params["w"].T @ x.T).T @ params["v"]

    found = trace(apply, {"w": jnp.ones((INPUTS, N)), "v": jnp.ones((N, N))}, examples())
    assert [(site.z_axis, site.s_axis) for site in found.sites] == [(1, 1), (0, 0)]


def test_an_axis_that_examples_share_is_said():
    def apply(params, x):
        h = x.reshape(-1, INPUTS) @ params["w"]
        return jnp.mean(h.reshape(N, -1, CLASSES), axis=1)

    found = trace(apply, {"w": jnp.ones((INPUTS, CLASSES))}, examples(2, INPUTS))
    assert found.sites[0].s_axis is None
    assert "cosine" in found.unreached[0].reason


def _linear(params, x):
    return x @ params["w"]


_W = {"w": jnp.ones((INPUTS, CLASSES))}


@pytest.mark.parametrize(
    ("apply", "params", "x", "message"),
    [
        (_linear, _W, examples(INPUTS + 1), r"^apply_fn: fails for x float32\[6, 6\] \(TypeError"),
        (_linear, _W, examples().astype(jnp.int32), r"^apply_fn: fails for x int32\[6, 5\]"),
        (_linear, _W, examples()[:1], "^x: holds 1 examples; at least 2"),
        (_linear, _W, {"a": examples(), "b": examples()[:3]}, r"^x: its arrays hold \[3, 6\]"),
        (_linear, _W, examples() * jnp.inf, "^x: x has values that are not finite"),
        (_linear, _W, None, "^x: holds no arrays"),
        (_linear, {"w": _W["w"] * jnp.nan}, examples(), "^params: w has values that are not fin"),
        (_linear, {}, examples(), "^params: holds no arrays"),
        (_linear, {**_W, "f": jnp.tanh}, examples(), "^params: f is not an array but of type"),
        (_linear, {**_W, "rate": 0.1}, examples(), "^params: rate is not .* type float"),
        (
            lambda p, x: jnp.sum(x @ p["w"]),
            _W,
            examples(),
            r"returns float32\[\], not one outp",
        ),
        (lambda p, x: None, _W, examples(), "^apply_fn: returns nothing, not outputs of"),
        (
            lambda p, x: jnp.argmax(x @ p["w"], 1),
            _W,
            examples(),
            r"returns int32\[6\], not outp",
        ),
        (lambda p, x: x, _W, examples(), "^apply_fn: no product of x .*; w is never used$"),
    ],
)
def test_bad_input_is_one_clear_sentence(apply, params, x, message):
    with pytest.raises(ValueError, match=message) as error:
        trace(apply, params, x)
    assert "\n" not in str(error.value)


def test_a_run_of_other_shapes_is_refused():
    model, found = traced("plain_mlp")
    with pytest.raises(ValueError, match=r"^x: is float32\[3, 5\], traced as float32\[6, 5\]$"):
        found.run(model.params, model.x[:3])
    with pytest.raises(ValueError, match="not the pytrees that were traced"):
        found.run({**model.params, "more": model.x}, model.x)
    with pytest.raises(ValueError, match="perturbations: are not shaped"):
        found.run(model.params, model.x, found.perturbations()[1:])


def test_a_parameter_that_is_never_used_is_named():
    found = trace(_linear, {**_W, "unused": jnp.ones(3)}, examples())
    assert list(found.unreached) == [Unreached("unused", "is never used")]


def test_shapes_are_enough():
    params, x = jax.eval_shape(lambda: (_W, examples()))
    assert trace(_linear, params, x).rows() == trace(_linear, _W, examples()).rows()
