"""Every scheme keeps one contract; each does what its source says; a user's own are checked."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.initialization import SCHEME_NAMES, scheme
from glorot_jax.initializers import INITIALIZERS, gaussian
from glorot_jax.network import MLP, init, kernels, layer_names, signals

INPUTS, WIDTHS, CLASSES = 9, (12,), 3
MODEL = MLP(WIDTHS, CLASSES)
X = np.random.default_rng(0).uniform(-1, 1, (40, INPUTS)).astype(np.float32)
KEY = jax.random.key(3)


def ones(key, shape, dtype=jnp.float32):
    return jnp.ones(shape, dtype)


def scaled(gain=2.0):
    return jax.nn.initializers.variance_scaling(gain, "fan_in", "normal")


class Constant:
    """A factory that is a class: its instances draw."""

    def __call__(self, key, shape, dtype):
        return jnp.full(shape, 0.5, dtype)


OWN = [f"{__name__}:{name}" for name in ("ones", "scaled", "Constant")]
NAMES = [*SCHEME_NAMES, "gaussian(0.1)", "uniform(1/3,0.003)", *OWN]
CONSTANT = {OWN[0], OWN[2]}


def _draw(name, key=KEY, *, model=MODEL, x=X):
    return jax.jit(scheme(name), static_argnums=0)(model, key, x)


def test_the_initializers_are_starts():
    assert set(SCHEME_NAMES) == {*INITIALIZERS, "pytorch", "lsuv"}


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    params = _draw(name)
    chex.assert_trees_all_equal_shapes_and_dtypes(params, init(MODEL, KEY, INPUTS))
    chex.assert_tree_all_finite(params)
    assert scheme(name) is scheme(name)
    assert hash(scheme(name)) == hash(scheme(name))
    chex.assert_trees_all_equal(params, _draw(name))
    keys = jax.random.split(KEY, 3)
    alone = [_draw(name, key) for key in keys]
    together = jax.jit(jax.vmap(lambda key: scheme(name)(MODEL, key, X)))(keys)
    for row, one in enumerate(alone):
        ours = jax.tree.map(lambda leaf, row=row: leaf[row], together)
        chex.assert_trees_all_close(ours, one, rtol=1e-4, atol=1e-6)
    for first, second in zip(kernels(alone[0]), kernels(alone[1]), strict=True):
        assert np.allclose(first, second) == (name in CONSTANT)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_an_initializer_draws_the_weights_of_a_plain_network(name):
    plain = MLP(WIDTHS, CLASSES, kernel_init=INITIALIZERS[name]())
    drawn = jax.jit(init, static_argnums=(0, 2))(plain, KEY, INPUTS)
    chex.assert_trees_all_equal(_draw(name), drawn)


def test_a_gaussian_of_ones_own_scale():
    plain = MLP(WIDTHS, CLASSES, kernel_init=gaussian(0.1))
    drawn = jax.jit(init, static_argnums=(0, 2))(plain, KEY, INPUTS)
    chex.assert_trees_all_equal(_draw("gaussian(0.1)"), drawn)


def test_the_models_own_initializer_and_the_examples_have_no_part():
    for name in ("standard", "pytorch"):
        other = MLP(WIDTHS, CLASSES, jax.nn.relu, kernel_init=gaussian(5.0))
        chex.assert_trees_all_equal(_draw(name), _draw(name, model=other, x=X[:3] + 1))


def test_ones_own_draws_the_kernels():
    for kernel in kernels(_draw(f"{__name__}:ones")):
        np.testing.assert_array_equal(kernel, np.ones_like(kernel))
    for kernel in kernels(_draw(f"{__name__}:Constant")):
        np.testing.assert_array_equal(kernel, np.full_like(kernel, 0.5))


def test_pytorch_is_uniform_with_biases():
    sizes = (500, 400, 300)
    params = _draw("pytorch", model=MLP(sizes[:-1], sizes[-1]), x=np.zeros((1, 200), np.float32))
    biases = [params[name]["bias"] for name in layer_names(2)]
    for bias, kernel in zip(biases, kernels(params), strict=True):
        bound = 1 / math.sqrt(kernel.shape[0])
        for values in (np.ravel(bias), np.ravel(kernel)):
            # The largest of N uniforms is within 20/N of the bound but once in exp(10) draws.
            assert bound * (1 - 20 / values.size) < np.abs(values).max() <= bound * (1 + 1e-6)
            law = scipy.stats.uniform(-bound, 2 * bound)
            assert scipy.stats.kstest(values, law.cdf).pvalue > 1e-4
    # No bias repeats another's numbers or its kernel's.
    columns = [values[:300] for values in biases] + [np.ravel(k)[:300] for k in kernels(params)]
    correlation = np.corrcoef(columns) - np.eye(6)
    assert np.abs(correlation).max() < 5 / math.sqrt(300)


def test_uniform_has_the_variances_that_it_names():
    sizes = (500, 400, 300)
    params = _draw(
        "uniform(1.7,0.03)", model=MLP(sizes[:-1], sizes[-1]), x=np.zeros((1, 200), np.float32)
    )
    for name in layer_names(2):
        kernel, bias = (np.asarray(params[name][part], np.float64) for part in ("kernel", "bias"))
        for values, variance in ((np.ravel(kernel), 1.7 / len(kernel)), (bias, 0.03)):
            bound = math.sqrt(3 * variance)
            assert bound * (1 - 20 / values.size) < np.abs(values).max() <= bound * (1 + 1e-6)
            law = scipy.stats.uniform(-bound, 2 * bound)
            assert scipy.stats.kstest(values, law.cdf).pvalue > 1e-4


def test_uniform_is_the_paper_s_standard_where_it_should_be():
    chex.assert_trees_all_equal(_draw("uniform(1/3,0)"), _draw("standard"))


def test_pytorch_has_the_law_of_torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.Linear(200, 500)
    params = _draw("pytorch", model=MLP((500,), 3), x=np.zeros((1, 200), np.float32))["hidden_01"]
    for ours, theirs in ((params["kernel"], layer.weight), (params["bias"], layer.bias)):
        found = scipy.stats.ks_2samp(np.ravel(ours), theirs.detach().numpy().ravel())
        assert found.pvalue > 1e-4


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "sigmoid"])
def test_lsuv_has_unit_variance_in_every_layer(activation):
    model = MLP((60, 50), 10, ACTIVATIONS[activation])
    x = np.random.default_rng(1).uniform(-3, 1, (100, 40)).astype(np.float32)
    params = _draw("lsuv", model=model, x=x)
    for s in signals(model, params, x).s:
        assert np.var(np.asarray(s, np.float64)) == pytest.approx(1, rel=0.01)
    for kernel in kernels(params):
        gram = kernel.T @ kernel if kernel.shape[0] >= kernel.shape[1] else kernel @ kernel.T
        scale = gram[0, 0]
        np.testing.assert_allclose(gram / scale, np.eye(len(gram)), atol=1e-5)


def test_lsuv_leaves_a_layer_that_never_varies():
    params = _draw("lsuv", x=np.zeros((4, INPUTS), np.float32))
    chex.assert_trees_all_equal(params, _draw("orthogonal"))


def not_finite(key, shape, dtype):
    return jnp.full(shape, jnp.nan, dtype)


def flat(key, shape, dtype):
    return jnp.zeros(math.prod(shape), dtype)


def two_arguments(key, shape):
    return jnp.zeros(shape)


def pair(key, shape, dtype):
    return jnp.zeros(shape, dtype), 1


def half(key, shape, dtype):
    return jnp.zeros(shape, jnp.bfloat16)


def broken_factory():
    raise RuntimeError("no luck\nat all")


def untraceable(key, shape, dtype):
    return jnp.asarray(np.random.default_rng(int(key)).normal(size=shape), dtype)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("glorot", "is not one of standard, .*, lsuv, gaussian.<stddev>., uniform.<n Var.W.>,<V"),
        ("uniform(1/3)", "1/3 is not a positive n Var.W. and a Var.b. of at least 0"),
        ("uniform(0,0.1)", "0,0.1 is not a positive n Var.W."),
        ("uniform(1,-1)", "1,-1 is not a positive n Var.W. and"),
        ("uniform(1,nan)", "1,nan is not a positive"),
        ("uniform(1/0,1)", "1/0,1 is not a positive"),
        ("uniform()", "nothing is not a positive"),
        ("gaussian(much)", "much is not a positive number"),
        ("gaussian()", "nothing is not a positive number"),
        ("gaussian(-1)", "-1 is not a positive number"),
        ("gaussian(inf)", "inf is not a positive number"),
        ("no_such_package.x:f", "there is no module no_such_package"),
        ("jax.nn.no_such:f", "there is no module jax.nn.no_such"),
        ("jax.nn:no_such_name", "there is no no_such_name in jax.nn"),
        (":f", "is not of the form package.module:name"),
        ("a b:f", "is not of the form package.module:name"),
        ("math:pi", "is neither a function .key, shape, dtype. nor a factory"),
        (f"{__name__}:two_arguments", "is neither a function .key, shape, dtype. nor a factory"),
        ("jax.nn.initializers:constant", "is neither a function"),
        (f"{__name__}:broken_factory", "fails when called .RuntimeError: no luck.$"),
        (f"{__name__}:untraceable", "fails for a float32 kernel"),
        (f"{__name__}:flat", r"fails for a float32 kernel of shape \(5, 3\) .*returns .*\(15,\)"),
        (f"{__name__}:half", "fails for a float32 kernel of shape .* returns .*bfloat16"),
        (f"{__name__}:pair", "fails for a float32 kernel of shape .* returns "),
        (f"{__name__}:not_finite", "draws numbers that are not finite"),
    ],
)
def test_what_is_no_start_is_refused_in_one_line(name, message):
    with pytest.raises(ValueError, match=message) as refusal:
        scheme(name)
    assert str(refusal.value).startswith(f"{name}: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import no_such_package_inside", "there is no module no_such_package_inside"),
        ("1 / 0", "importing {module} fails .ZeroDivisionError: division by zero."),
        ("import os; os.nothing", "importing {module} fails .AttributeError"),
        ("def f(:", "importing {module} fails .SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(tmp_path, monkeypatch, body, message):
    module = f"own_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=f"^{module}:f: {message.format(module=module)}"):
        scheme(f"{module}:f")


def test_lowers_for_accelerators():
    for name in ("normalized", "pytorch"):
        program = jax.jit(lambda key, x, name=name: scheme(name)(MODEL, key, x))
        jax.export.export(program, platforms=["tpu", "cuda"])(KEY, X)
