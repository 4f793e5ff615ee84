"""Calibrated parameters against NumPy's own passes, LSUV, and what each style of model keeps."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.diagnosis.mending.calibration import MODES, SETTLED, calibrate
from glorot_jax.initialization import LSUV_TOLERANCE, lsuv
from glorot_jax.initializers import INITIALIZERS
from glorot_jax.network import MLP, init, logits
from tests import numpy_net
from tests.diagnosis.models import OTHERS, labels, traced

SIZES = (6, 40, 20, 30, 4)
X, Y = numpy_net.random_examples(0, 100, SIZES[0], SIZES[-1])
WITHIN = 0.01  # of what is asked for; forwards the search stops ten times nearer


def _mlp(activation):
    return MLP(SIZES[1:-1], SIZES[-1], ACTIVATIONS[activation])


@cache
def _calibrated_mlp(activation, mode, target=1.0, stddev=0.4):
    params = _without_biases(numpy_net.random_params(0, SIZES, stddev=stddev))
    return calibrate(partial(logits, _mlp(activation)), params, X, Y, mode=mode, target=target)


def _without_biases(params):
    return {
        name: {"kernel": layer["kernel"], "bias": 0 * layer["bias"]}
        for name, layer in params.items()
    }


def _rms(values):
    return np.sqrt(np.mean(np.square(values)))


F = {"tanh": (np.tanh, lambda s: np.cosh(s) ** -2.0), "relu": (lambda s: s * (s > 0), np.sign)}


def _passes(params, activation):
    """Std of each s, rms of dC/ds, and of the gradient a kernel carries down over the latter."""
    f, slope = F[activation]
    kernels = [kernel for kernel, _ in numpy_net.layers(params)]
    s, z = [], np.asarray(X, np.float64)
    for kernel in kernels:
        s.append(z @ kernel)
        z = f(s[-1])
    d = numpy_net.cost_gradient(s[-1], Y, "cross_entropy")
    ds, carried = [], []
    for kernel, below in zip(kernels[::-1], [*s[-2::-1], None], strict=True):
        ds.insert(0, _rms(d))
        d = (d @ kernel.T) * (1 if below is None else np.maximum(slope(below), 0))
        carried.insert(0, _rms(d) / ds[0])
    return np.array([values.std() for values in s]), np.array(ds), np.array(carried)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("target", [1.0, 0.3])
def test_forward_gives_each_s_the_std_asked_for(activation, target):
    made = _calibrated_mlp(activation, "forward", target)
    stds, _, _ = _passes(made.params, activation)
    np.testing.assert_allclose(stds, target, rtol=WITHIN)
    np.testing.assert_allclose(made.after.values["s_std"], stds, rtol=1e-4)
    assert made.skipped == ()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_backward_keeps_the_gradient_that_each_kernel_carries_down(activation):
    made = _calibrated_mlp(activation, "backward")
    _, ds, carried = _passes(made.params, activation)
    np.testing.assert_allclose(carried, 1, rtol=SETTLED)
    np.testing.assert_allclose(ds / ds[-1], 1, rtol=len(ds) * SETTLED)
    # The mean of dC/ds is all but 0.
    np.testing.assert_allclose(made.after.values["ds_std"], ds, rtol=0.05)
    assert made.skipped == ()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_geometric_misses_both_by_the_same_factor(activation):
    stds, _, carried = _passes(_calibrated_mlp(activation, "geometric").params, activation)
    np.testing.assert_allclose(stds * carried, 1, rtol=2 * SETTLED)
    assert np.abs(np.log(stds)).max() > 5 * WITHIN  # neither is met alone


def test_critical_gives_each_jacobian_a_mean_square_of_1():
    """n Var[W] E[f'(s)^2] = 1 in every layer, by NumPy's pass."""
    made = _calibrated_mlp("tanh", "critical")
    z = np.asarray(X, np.float64)
    for kernel in (kernel for kernel, _ in numpy_net.layers(made.params)[:-1]):
        s = z @ kernel
        slopes = np.mean(np.cosh(s) ** -4.0)
        assert len(kernel) * np.mean(kernel**2) * slopes == pytest.approx(1, rel=2 * WITHIN)
        z = np.tanh(s)
    relu = _calibrated_mlp("relu", "critical")
    for kernel, _ in numpy_net.layers(relu.params)[1:-1]:
        # Half of its units let the signal through, about: He's initialisation.
        assert len(kernel) * np.mean(kernel**2) == pytest.approx(2, rel=0.4)


def test_linear_layers_get_the_papers_variances():
    """n Var[W] = 1 forwards and n_out Var[W] = 1 backwards (eqs. 10 and 11), within sampling."""

    def linear(params, x):
        return x @ params["w"]

    n_in, n_out = 300, 700
    rng = np.random.default_rng(0)
    params = {"w": jnp.asarray(rng.normal(0, 3, (n_in, n_out)).astype(np.float32))}
    x = jnp.asarray(rng.normal(size=(200, n_in)).astype(np.float32))
    for mode, n in zip(MODES, (n_in, n_out, np.sqrt(n_in * n_out), n_in), strict=True):
        made = calibrate(linear, params, x, mode=mode)
        # 60 000 inputs or 140 000 gradients: a variance within 1%, three deviations are 2%.
        assert n * np.var(made.params["w"]) == pytest.approx(1, rel=0.03), mode


def test_forward_from_orthogonal_kernels_is_lsuv():
    model, key = _mlp("tanh"), jax.random.key(0)
    drawn = init(model.clone(kernel_init=INITIALIZERS["orthogonal"]()), key, SIZES[0])
    made = calibrate(partial(logits, model), drawn, X)
    theirs = lsuv(model, key, X)
    for ours, expected in zip(jax.tree.leaves(made.params), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=LSUV_TOLERANCE)


STYLES = [
    "scanned_remat",
    "nested_scans",
    "recurrent",
    "cond_in_scan",
    "tied",
    "weight_norm",
    "embedding",
    "linen_cnn_with_attention",
    "linen_scan_of_remat",
    "nnx_blocks",
    *OTHERS,
]


@cache
def _calibrated(name):
    model, _ = traced(name)
    return calibrate(model.apply, model.params, model.x, labels())


@pytest.mark.parametrize("name", STYLES)
def test_every_style_of_model_gets_the_std_asked_for(name):
    if name in OTHERS:
        pytest.importorskip(name)
    model, found = traced(name)
    made = _calibrated(name)
    signals = jax.jit(found.run)(made.params, model.x)
    stds = [
        np.asarray(s, np.float64).reshape(int(np.prod(site.steps, initial=1)), -1).std(axis=1)
        for site, s in zip(found.sites, signals.s, strict=True)
    ]
    stds = np.concatenate(stds)[found.layout.order]
    np.testing.assert_allclose(made.after.values["s_std"], stds, rtol=1e-4)
    rows = found.rows()
    assert made.after.sites == made.before.sites == tuple(made.factors)
    assert list(made.factors) == [row.label for row in rows]
    # Of rows with one kernel in common only the geometric mean can be as asked for.
    by_kernel = {}
    for row, std in zip(rows, stds, strict=True):
        by_kernel.setdefault(_kernel(name, row), []).append(std)
    skipped = {one.name for one in made.skipped}
    means = [
        np.exp(np.mean(np.log(together)))
        for (label, _), together in by_kernel.items()
        if label not in skipped and not np.isnan(together).all()
    ]
    np.testing.assert_allclose(means, 1, rtol=SETTLED)
    assert len(means) >= 2
    untaken = {"middle/w[1]", "middle/w[3]"} if name == "cond_in_scan" else set()
    assert skipped == untaken


def _kernel(name, row):
    """What rows must share to share a kernel."""
    if name == "recurrent":
        return row.name, None
    if row.name == "middle/shared":
        return row.name, row.step[0]
    return row.name.removesuffix(" #2"), row.step


@pytest.mark.parametrize("name", STYLES)
def test_only_kernels_change_and_only_by_a_factor(name):
    if name in OTHERS:
        pytest.importorskip(name)
    model, found = traced(name)
    made = _calibrated(name)
    assert jax.tree.structure(made.params) == jax.tree.structure(model.params)
    rows = {(row.name, row.step): made.factors[row.label] for row in found.rows()}
    names = [name for name, _ in found.inputs]
    pairs = zip(names, *(jax.tree.leaves(p) for p in (model.params, made.params)), strict=False)
    changed = set()
    for leaf, old, new in pairs:
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
        factors = {step: factor for (name, step), factor in rows.items() if name == leaf}
        if not factors:
            if not np.array_equal(old, new):
                changed.add(leaf)
            continue
        for step, factor in factors.items():
            at = () if leaf in ("middle/w", "first/w") and old.ndim == 2 else step[: old.ndim - 2]
            np.testing.assert_allclose(new[at], factor * old[at], rtol=1e-5)
        assert any(factor != 1 for factor in factors.values())
    # A kernel of two parameters is scaled by the one that scales it.
    assert changed == ({"middle/g"} if name == "weight_norm" else set())


def _deep(depth, width=32):
    """A scan of tanh layers and what is above it, far from calibrated."""
    rng = np.random.default_rng(0)

    def apply(params, x):
        h, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, params["w"])
        return h @ params["out"]

    params = {
        "w": jnp.asarray(rng.normal(0, 0.25, (depth, width, width)).astype(np.float32)),
        "out": jnp.asarray(rng.normal(0, 1, (width, 5)).astype(np.float32)),
    }
    return apply, params, jnp.asarray(rng.normal(size=(60, width)).astype(np.float32))


@pytest.mark.parametrize("mode", MODES)
def test_layers_of_a_scan_are_scaled_like_the_same_layers_written_out(mode):
    apply, params, x = _deep(4)

    def written_out(params, x):
        for w in params["w"]:
            x = jnp.tanh(x @ w)
        return x @ params["out"]

    inside = calibrate(apply, params, x, mode=mode)
    outside = calibrate(written_out, {**params, "w": list(params["w"])}, x, mode=mode)
    ours, theirs = (list(made.factors.values()) for made in (inside, outside))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    assert list(inside.factors) == [*(f"w[{i}]" for i in range(4)), "out"]


def test_sixty_four_layers_in_a_scan_are_traced_twice():
    apply, params, x = _deep(64)
    calls = []

    def counted(params, x):
        calls.append(1)
        return apply(params, x)

    made = calibrate(counted, params, x)
    assert len(calls) == 2  # for n and n + 1 examples
    assert made.skipped == ()
    np.testing.assert_allclose(made.after.values["s_std"], 1, rtol=WITHIN)
    assert np.ptp(np.log(made.before.values["s_std"])) > 0.3


def test_sixty_four_layers_carry_gradients_of_one_size():
    """The sizes of layers next to each other differ by no more than is left over."""
    apply, params, x = _deep(64)
    made = calibrate(apply, params, x, mode="backward")
    before, after = (np.log(of.values["ds_std"]) for of in (made.before, made.after))
    assert np.ptp(before) > 3
    assert np.ptp(after) < 0.5


def test_an_activation_is_found_below_whatever_the_order_of_the_axes():
    """Without biases a vmapped product of relu(s) keeps units first, z has the examples first."""

    def apply(params, x):
        def one(x):
            return params["v"] @ jax.nn.relu(params["w"] @ x)

        return jax.vmap(one)(x)

    rng = np.random.default_rng(0)
    w, v = (rng.normal(size=shape).astype(np.float32) for shape in ((80, 6), (4, 80)))
    made = calibrate(apply, {"w": jnp.asarray(w), "v": jnp.asarray(v)}, X, mode="backward")
    # Half the slopes are 0: v carries sqrt(4 Var[v] / 2) of a gradient down.
    gain = 4 * np.var(v * made.factors["v"]) * np.mean(X @ w.T > 0)
    assert gain == pytest.approx(1, rel=0.1)


def test_what_cannot_be_scaled_keeps_its_scale_and_says_why():
    def apply(params, x):
        h = jnp.tanh(x @ params["dead"])
        unit = params["unit"] / jnp.linalg.norm(params["unit"])
        h = h + jnp.tanh(x @ unit) + jnp.tanh(x @ params["w"] + params["wide"][None])
        h = h @ jax.lax.stop_gradient(params["eight"].astype(jnp.float32))
        return h @ params["out"]

    rng = np.random.default_rng(0)
    square = jnp.asarray(rng.normal(size=(6, 6)).astype(np.float32))
    params = {
        "dead": 0 * square,
        "unit": square,
        "w": 0.1 * square,
        "wide": 3.0 * square[0],
        "eight": (10 * square).astype(jnp.int8),
        "out": square,
    }
    made = calibrate(apply, params, X)
    reasons = {one.name: one.reason for one in made.skipped}
    assert reasons.keys() == {"dead", "unit", "w", "eight"}
    assert "never varies" in reasons["dead"]
    assert "scaling no parameter" in reasons["unit"]
    assert "a bias" in reasons["w"]
    for name in reasons:
        assert made.factors[name] == 1
        np.testing.assert_array_equal(made.params[name], params[name])
    assert made.after.values["s_std"][-1] == pytest.approx(1, rel=WITHIN)
    back = {one.name for one in calibrate(apply, params, X, mode="backward").skipped}
    assert "dead" in back


def test_embeddings_are_scaled_forwards_but_not_backwards():
    model, _ = traced("embedding")
    made = {
        mode: calibrate(model.apply, model.params, model.x, labels(), mode=mode) for mode in MODES
    }
    assert [one.name for one in made["backward"].skipped] == ["table"]
    assert made["backward"].factors["table"] == 1
    assert made["geometric"].factors["table"] == made["forward"].factors["table"] != 1


def test_low_precision_stays_low():
    params = _without_biases(numpy_net.random_params(0, SIZES))
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), params)
    x = jnp.asarray(X, jnp.bfloat16)
    made = calibrate(partial(logits, _mlp("tanh")), params, x)
    assert {leaf.dtype for leaf in jax.tree.leaves(made.params)} == {jnp.dtype(jnp.bfloat16)}
    np.testing.assert_allclose(made.after.values["s_std"], 1, rtol=WITHIN)


def _linear(params, x):
    return x @ params["w"]


_W = {"w": jnp.ones((SIZES[0], SIZES[-1]))}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"mode": "sideways"},
            "^mode: sideways is not one of forward, backward, geometric, critical$",
        ),
        ({"target": 0}, "^target: 0 is not a positive number$"),
        ({"target": float("nan")}, "^target: nan is not a positive number$"),
        ({"target": "1"}, "^target: 1 is not a positive number$"),
        ({"y": Y[:3]}, r"^y: \[3\] is not one label for each of 100 examples$"),
        (
            {"loss": lambda a, y: jnp.sum(a)},
            r"^loss: returns \[\], not one cost for each of 100 examples: leave out its mean",
        ),
        ({"params": {"w": _W["w"] * jnp.nan}}, "^params: w has values that are not finite$"),
    ],
)
def test_bad_input_is_one_clear_sentence(options, message):
    given = {"params": _W, "y": Y, **options}
    with pytest.raises(ValueError, match=message):
        calibrate(_linear, given.pop("params"), X, given.pop("y"), **given)


def test_inside_jit_it_is_refused():
    with pytest.raises(ValueError, match=r"^params: are traced"):
        jax.jit(lambda p: calibrate(_linear, p, X).params)(_W)
