"""Statistics of sites against the project's own probes, NumPy, and JAX's gradients of the model."""

from functools import cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax import diagnosis, probes
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data.stream import Batch
from glorot_jax.losses import LOSSES, cross_entropy
from glorot_jax.network import MLP, logits
from tests import numpy_net
from tests.diagnosis.models import MODELS, OTHERS, WIDTH, labels, traced

SIZES = (6, 9, 5, 7, 3)
DEPTH = 3
BATCH = Batch(*numpy_net.random_examples(0, 20, SIZES[0], SIZES[-1]))
PARAMS = [numpy_net.random_params(seed, SIZES, stddev=1.5) for seed in range(2)]


def _traced_mlp(activation):
    model = MLP(SIZES[1:-1], SIZES[-1], ACTIVATIONS[activation])
    return model, diagnosis.trace(partial(logits, model), PARAMS[0], BATCH.x)


def _statistics(found):
    """The statistics of (params, x) as one compiled function."""
    return jax.jit(lambda params, x: diagnosis.site_statistics(found, params, x, labels()))


@cache
def _program(name):
    return _statistics(traced(name)[1])


@cache
def _measured(name):
    model, found = traced(name)
    return model, found.rows(), _program(name)(model.params, model.x)


@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("tanh", "cross_entropy"),
        ("sigmoid", "quadratic"),
        ("softsign", "cross_entropy"),
        ("relu", "quadratic"),
    ],
)
def test_they_are_the_probes_of_the_papers_network(activation, loss):
    model, found = _traced_mlp(activation)
    ours = jax.jit(
        lambda p: diagnosis.site_statistics(found, p, BATCH.x, BATCH.y, loss=LOSSES[loss])
    )(PARAMS[0])
    z = jax.jit(partial(probes.activation_statistics, model))(PARAMS[0], BATCH)
    gradients = partial(probes.gradient_statistics, model, loss=LOSSES[loss])
    theirs = jax.jit(gradients)(PARAMS[0], BATCH)
    # The input of a site is the activation of the layer below.
    pairs = [(ours[f"z_{name}"][1:], z[name]) for name in ("mean", "std", "mean_square")]
    pairs += [(ours["z_quantile"][1:], z["quantile"]), (ours["saturated"][:-1], z["saturated"])]
    pairs += [(ours[f"ds_{k}"][:-1], theirs["backprop"][k]) for k in ("std", "mean_square")]
    pairs += [(ours["dw_std"][:-1], theirs["weight_gradient"]["std"])]
    ratio = (ours["dw_std"] / ours["kernel_std"])[:-1]
    pairs += [(ratio, theirs["weight_gradient"]["ratio"])]
    for mine, probe in pairs:
        np.testing.assert_allclose(mine, probe, rtol=1e-5, atol=1e-8)


def test_they_are_numpys():
    _, found = _traced_mlp("tanh")
    x, y = BATCH
    ours = jax.jit(lambda p: diagnosis.site_statistics(found, p, x, y))(PARAMS[0])
    s, z = numpy_net.forward(PARAMS[0], x, "tanh")
    ds, dw, _ = numpy_net.backprop(PARAMS[0], x, y, "tanh", "cross_entropy")
    for row, (kernel, _) in enumerate(numpy_net.layers(PARAMS[0])):
        expected = {
            **_distribution("z", z[row]),
            **_distribution("s", s[row]),
            "ds_std": ds[row].std(),
            "ds_mean_square": (ds[row] ** 2).mean(),
            "ds_norm": np.sqrt((ds[row] ** 2).sum()),
            "dw_std": dw[row].std(),
            "dw_norm": np.sqrt((dw[row] ** 2).sum()),
            "dw_ratio": np.sqrt((dw[row] ** 2).sum() / (kernel**2).sum()),
            "kernel_std": kernel.std(),
            "kernel_norm": np.sqrt((kernel**2).sum()),
            "gain": len(kernel) * kernel.var(),
        }
        # Nothing follows the last s; no unit of tanh is flat for all examples.
        slope = numpy_net.ACTIVATIONS["tanh"][1](s[row])
        hidden = row < DEPTH
        expected["saturated"] = (slope < 0.05).mean() if hidden else np.nan
        expected["dead"] = 0.0 if hidden else np.nan
        assert found.rows()[row].fan_in == len(kernel)
        assert expected.keys() == ours.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(
                ours[name][row], value, rtol=1e-4, atol=1e-6, err_msg=f"{name} of {row}"
            )
    assert ours["saturated"][:-1].max() > 0.1  # the comparison above compared something


def _distribution(name, values):
    directions = values / np.linalg.norm(values, axis=1, keepdims=True)
    pairs = (directions @ directions.T)[np.triu_indices(len(values), 1)]
    return {
        f"{name}_mean": values.mean(),
        f"{name}_std": values.std(),
        f"{name}_mean_square": (values**2).mean(),
        f"{name}_quantile": np.quantile(values, diagnosis.QUANTILES),
        f"{name}_cosine": pairs.mean(),
    }


# Kernels that are one leaf, used once in each step, under the model's own derivatives.
_ONE_USE = [
    "activation_with_its_own_gradient",
    "vmapped_experts",
    "scanned_remat",
    "cond_in_scan",
    "embedding",
    "linen_cnn_with_attention",
    *OTHERS,
]


@pytest.mark.parametrize("name", _ONE_USE)
def test_weight_gradients_are_those_of_the_model(name):
    if name in OTHERS:
        pytest.importorskip(name)
    model, rows, measured = _measured(name)
    gradients = jax.jit(
        jax.grad(lambda p: jnp.mean(cross_entropy(model.apply(p, model.x), labels())))
    )(model.params)
    leaves = {
        jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value"): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
    }
    expected = [jnp.linalg.norm(leaves[row.name][row.step].reshape(-1)) for row in rows]
    taken = ~np.isnan(measured["s_mean"])
    np.testing.assert_allclose(
        measured["dw_norm"][taken], np.array(expected)[taken], rtol=1e-4, atol=1e-7
    )
    np.testing.assert_allclose(np.array(expected)[~taken], 0)
    assert all(values.dtype == jnp.float32 for values in measured.values())


def test_a_scan_has_the_rows_of_the_same_layers_written_out():
    _, rows, _ = _measured("scanned")
    assert [row.step for row in rows] == [(), *((step,) for step in range(64)), ()]
    model = MODELS["scanned"](depth=6)
    found = diagnosis.trace(model.apply, model.params, model.x)
    scanned = _statistics(found)(model.params, model.x)

    def written_out(params, x):
        h = jnp.tanh(x @ params["first"]["w"] + params["first"]["b"][None])
        for w, b in params["middle"]:
            h = jnp.tanh(h @ w + b[None])
        return h @ params["last"]["w"] + params["last"]["b"][None]

    middle = list(zip(*(model.params["middle"][k] for k in ("w", "b")), strict=True))
    params = {**model.params, "middle": middle}
    found = diagnosis.trace(written_out, params, model.x)
    own = _statistics(found)(params, model.x)
    chex.assert_trees_all_close(scanned, own, rtol=1e-3, atol=1e-6)


def test_steps_that_share_a_kernel_add_up_to_its_gradient():
    """Each step's own share is what it would be, were the kernels of the steps different."""
    model, rows, measured = _measured("recurrent")
    steps = model.x.shape[1]

    def cost(kernels):
        h = jnp.zeros((len(model.x), WIDTH))
        for step in range(steps):
            s = h @ kernels[step] + model.params["middle"]["b"][None]
            h = jnp.tanh(s + model.x[:, step] @ model.params["first"]["w"])
        last = model.params["last"]
        return jnp.mean(cross_entropy(h @ last["w"] + last["b"][None], labels()))

    shares = jax.jit(jax.grad(cost))([model.params["middle"]["w"]] * steps)
    own = [measured["dw_norm"][i] for i, row in enumerate(rows) if row.name == "middle/w"]
    np.testing.assert_allclose(own, [jnp.linalg.norm(s) for s in shares], rtol=1e-4, atol=1e-7)


def test_a_branch_not_taken_is_nan():
    _, rows, measured = _measured("cond")
    for index, row in enumerate(rows):
        whole = row.name in ("first/w", "last/w")
        missing = row.name == "middle/right"
        for name, values in measured.items():
            known = missing or not whole  # what isn't known of any row is not this test's matter
            assert not known or bool(np.isnan(values[index]).all()) == missing, (row.name, name)
    _, rows, measured = _measured("cond_in_scan")
    inside = [i for i, row in enumerate(rows) if row.name == "middle/w"]
    assert np.isnan(measured["ds_std"][np.array(inside)]).tolist() == [False, True] * 2


def test_dead_units_are_those_relu_never_lets_through():
    model, found = traced("relu")
    bias = model.params["middle"]["b"].at[1].set(-100.0)
    params = {**model.params, "middle": {**model.params["middle"], "b": bias}}
    measured = _program("relu")(params, model.x)
    s = jax.jit(found.run)(params, model.x).s[1]
    row = [row.name for row in found.rows()].index("middle/w")
    assert measured["dead"][row] == np.mean((np.asarray(s) <= 0).all(axis=0)) >= 1 / WIDTH


def test_an_activation_is_known_by_its_slope_whatever_it_is_made_of():
    for name, slope in (("gelu", jax.grad(jax.nn.gelu)), ("silu_gate", jax.grad(jax.nn.silu))):
        model, found = traced(name)
        params = jax.tree.map(lambda leaf: 4 * leaf, model.params)
        s = jax.jit(found.run)(params, model.x).s[1]
        below = jax.vmap(slope)(s.reshape(-1)) < 0.05 * slope(0.0)
        measured = _program(name)(params, model.x)
        assert measured["saturated"][1] == pytest.approx(float(np.mean(below)))
        assert measured["saturated"][1] > 0


def test_an_embedding_has_no_input_to_measure():
    _, rows, measured = _measured("embedding")
    table = [row.kind for row in rows].index("embedding")
    for name, values in measured.items():
        unknown = name.startswith("z_") or name in ("saturated", "dead")
        assert bool(np.isnan(values[table]).all()) == unknown, name


def test_examples_all_alike_have_cosine_one_and_zeros_none():
    model, _ = traced("plain_mlp")
    alike = jnp.broadcast_to(model.x[:1], model.x.shape)
    measure = _program("plain_mlp")
    measured = measure(model.params, alike)
    np.testing.assert_allclose(measured["s_cosine"], 1, rtol=1e-5)
    measured = measure(model.params, 0 * alike)
    assert np.isnan(measured["z_cosine"][0])


def test_low_precision_is_measured_in_float32():
    model, _, own = _measured("plain_mlp")
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), (model.params, model.x))
    found = diagnosis.trace(model.apply, *half)
    measured = _statistics(found)(*half)
    for name in ("s_mean_square", "ds_norm", "dw_norm", "gain"):
        assert measured[name].dtype == jnp.float32
        np.testing.assert_allclose(measured[name], own[name], rtol=0.05)  # 8 bits, three layers


@pytest.mark.parametrize("name", ["scanned_remat", "cond", "recurrent", "linen_cnn_with_attention"])
def test_vmap_over_seeds_and_one_trace(name):
    chex.clear_trace_counter()
    model, found = traced(name)

    def measure(params):
        return diagnosis.site_statistics(found, params, model.x, labels())

    once = chex.assert_max_traces(measure, n=1)
    seeds = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), model.params)
    over_seeds = jax.jit(jax.vmap(once))
    together = over_seeds(seeds)
    over_seeds(jax.tree.map(lambda leaf: 2 * leaf, seeds))
    for seed in range(2):
        params, ours = (jax.tree.map(lambda a, i=seed: a[i], t) for t in (seeds, together))
        alone = _program(name)(params, model.x)
        chex.assert_trees_all_close(ours, alone, rtol=1e-4, atol=1e-6)


def test_bad_labels_and_losses_are_one_clear_sentence():
    model, found = traced("plain_mlp")
    with pytest.raises(ValueError, match=r"^y: \[3\] is not one label for each of 6 examples$"):
        diagnosis.site_statistics(found, model.params, model.x, labels()[:3])
    with pytest.raises(ValueError, match=r"^loss: returns \[\], not one cost for each of 6 exam"):
        diagnosis.site_statistics(
            found, model.params, model.x, labels(), loss=lambda *a: jnp.mean(cross_entropy(*a))
        )


def test_lowers_for_accelerators():
    for name in ("scanned_remat", "cond", "embedding"):
        model, found = traced(name)
        measure = jax.jit(lambda p, x, f=found: diagnosis.site_statistics(f, p, x, labels()))
        jax.export.export(measure, platforms=["tpu", "cuda"])(model.params, model.x)
