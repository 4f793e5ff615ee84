"""Checks over widths of nets whose growth theory knows, and of what can't be checked."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr
from flax import linen as nn
from flax import nnx

import glorot_jax as gj
from glorot_jax.diagnosis.judging.scaling import MARGIN
from glorot_jax.theory.parametrizations import PARAMETRIZATIONS, growth
from tests.diagnosis import widths
from tests.diagnosis.widths import LAYERS, MUP_RATES, RATES, WIDTHS, checked, examples, mlp

KINDS = {"sgd": "proportional", "adam": "invariant"}
BOTH = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _as_optax_promotes():
    """Its Adam takes a Python float to the power of an int32."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def _check(make, given=WIDTHS, **options):
    x, y = examples()
    options = {"x": x, "y": y, "optimizer": optax.sgd(0.1), "seeds": 2, "steps": 2} | options
    return gj.coordinate_check(make, given, **options)


def _by_site(check):
    return {site.site: site for site in check.sites}


@BOTH
@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_exponents_are_those_of_theory(name, kind):
    check = checked(name, kind)
    assert check.data.attrs["response"] == KINDS[kind]
    for site in check.sites[:-1]:
        expected = growth(PARAMETRIZATIONS[name], site.role, KINDS[kind])
        assert site.step == 1
        assert site.gain.value == pytest.approx(expected.start, abs=0.15), site
        assert site.update.value == pytest.approx(expected.update, abs=MARGIN), site
        assert name in site.like, site


@BOTH
def test_standard_parametrisation_blows_up(kind):
    """Tensor Programs V, figure 5: logits move by more the wider the net."""
    check = checked("SP", kind)
    change = check.sites[-1].change
    assert change.value - change.half > MARGIN
    assert not check.level
    assert "not level, as in SP" in str(check)


@BOTH
def test_maximal_update_is_level(kind):
    check = checked("muP", kind)
    assert check.level, str(check)
    assert all(abs(site.change.value) < MARGIN for site in check.sites)
    assert "Verdict: level" in str(check)


@BOTH
def test_the_initial_slope_of_a_muP_readout_is_not_flagged(kind):
    """Outputs start at width^-1/2 under muP: they are sums of terms that don't agree yet."""
    check = checked("muP", kind)
    for site in (_by_site(check)["out"], _by_site(check)["logits"]):
        assert site.start.value == pytest.approx(-0.5, abs=0.15)
    assert check.faults == ()


def test_neural_tangent_parametrisation_learns_no_features_as_it_grows():
    check = checked("NTK", "sgd")
    found = _by_site(check)
    assert not found["logits"].change.differs(0)
    for name in ("in", "mid", "top"):
        assert found[name].change.value == pytest.approx(-0.5, abs=MARGIN)
    assert "not level, as in NTK" in str(check)


@BOTH
def test_what_the_faults_say_mends_them(kind):
    """Every scale and rate multiplied by width to the power that its fault gives."""
    powers = {"initial scale": {}, "learning rate": {}}
    for fault in checked("SP", kind).faults:
        powers[fault.kind][fault.site] = fault.power
    mended = _check(
        lambda width: mlp(width, "SP", powers["initial scale"]),
        (64, 128, 256),
        optimizer=widths.optimizer(kind, powers["learning rate"]),
        seeds=4,
        steps=5,
    )
    assert mended.level, str(mended)
    rates = {layer: power for layer, power in powers["learning rate"].items() if power}
    assert rates == MUP_RATES[kind]
    assert powers["initial scale"] == {"out": -0.5}


@pytest.mark.parametrize("mup", [False, True])
def test_a_transformer_with_adam(mup):
    """Standard, with scores over the root of a head's width; maximal update, over the width."""
    x, y = widths.sentences()
    check = gj.coordinate_check(
        lambda width: widths.transformer(width, mup, lambda d: 4 / d if mup else d**-0.5),
        (64, 128, 256),
        x=x,
        y=y,
        optimizer=widths.adam_of_transformer(mup),
        seeds=5,
        steps=3,
    )
    found, kernels = _by_site(check), ("q", "k", "v", "o", "up", "down", "out")
    assert found["scores(k, q)"].start.value == pytest.approx(-0.5 if mup else 0, abs=0.2)
    if mup:
        assert check.level, str(check)
        return
    powers = {(fault.site, fault.kind): fault.power for fault in check.faults}
    assert powers == {
        **{(name, "learning rate"): -1.0 for name in kernels},
        ("out", "initial scale"): -0.5,
        ("scores(k, q)", "initial scale"): -0.5,
    }
    assert found["logits"].change.differs(0)
    assert "embed" not in str(check.faults)


def test_a_readout_that_starts_at_zero_lets_the_rest_move_a_step_later():
    def make(width):
        init, apply_fn = mlp(width, "muP")
        return lambda key: init(key) | {"out": jnp.zeros((width, widths.CLASSES))}, apply_fn

    adam = widths.optimizer("adam", MUP_RATES["adam"])
    check = _check(make, (32, 64, 128), optimizer=adam, steps=3)
    steps = {site.site: site.step for site in check.sites[:-1]}
    assert steps == {"in": 2, "mid": 2, "top": 2, "out": 1}
    assert check.level, str(check)
    assert np.isnan(_by_site(check)["logits"].start.value)


def test_the_numbers_are_labelled_and_can_be_kept(tmp_path):
    check = checked("SP", "adam")
    data = check.to_dataset()
    assert dict(data.sizes) == {"width": 4, "seed": 4, "step": 6, "site": 5}
    assert [*data.site.values] == [*LAYERS, "logits"]
    assert [*data.role.values] == ["input", "hidden", "hidden", "output", "outputs"]
    assert all(data[name].attrs["long_name"] for name in data.data_vars)
    log = np.log(data.s_std.sel(site="out", step=2).values)
    slopes = np.polyfit(np.log(WIDTHS), log, 1)[0]
    assert float(data.s_exponent.sel(site="out", step=2)) == pytest.approx(slopes.mean())
    kept = xr.load_dataset(check.save(tmp_path / "check.nc"), engine="h5netcdf")
    assert gj.CoordinateCheck(kept).faults == check.faults
    with pytest.raises(ValueError, match=r"^path: .*check\.txt ends in neither \.html nor \.nc$"):
        check.save(tmp_path / "check.txt")


def test_what_is_printed_fits_and_says_all():
    text = str(checked("SP", "sgd"))
    assert max(map(len, text.splitlines())) <= 100
    flat = " ".join(text.split())
    assert re.search(
        r"out: its update grows as width\^\d\.\d\d±\d\.\d\d; muP wants 0: divide", flat
    )
    assert "std(s) over rms(z) stays level" in flat
    assert "divide the kernel's initial standard deviation by sqrt(width)" in flat
    html = checked("SP", "sgd")._repr_html_()
    assert html.count("<li>") == len(checked("SP", "sgd").faults) == 5
    assert html.count("<tr>") == 6


def _deep(width):
    """Sixty layers in a scan."""

    def init(key):
        layers = jax.random.normal(key, (60, width, width)) * width**-0.5
        return {"first": jnp.ones((widths.INPUTS, width)), "layers": layers}

    def apply_fn(params, x):
        body = lambda h, w: (jnp.tanh(h @ w), None)  # noqa: E731
        return jax.lax.scan(body, x @ params["first"], params["layers"])[0][:, :4]

    return init, apply_fn


def test_too_few_seeds_are_no_proof_of_being_level():
    data = checked("SP", "adam").data.copy(deep=True)
    for name in ("gain", "update", "change", "s"):
        data[f"{name}_exponent_half"][:] = 2.0
    check = gj.CoordinateCheck(data)
    assert check.faults == ()
    assert not check.level
    assert "Verdict: unclear at mid, top, out, logits, more seeds would tell" in str(check)


def test_many_sites_are_cut_in_print_only():
    check = _check(_deep, (8, 12, 16), steps=1, seeds=1)
    lines = str(check).splitlines()
    assert len(check.sites) == 62
    assert "    and 22 more, in check.data" in lines
    assert any(line.strip().startswith("logits") for line in lines)
    assert check.data.attrs["interval"] == "of the regression"


def test_the_figure_has_a_line_a_step_and_a_panel_a_site(tmp_path):
    check = checked("SP", "adam")
    panels = check.plot().axes
    assert len(panels) == 2 * 5
    left, right = panels[:2]
    assert left.get_xscale() == left.get_yscale() == "log"
    assert [len(axes.get_lines()) for axes in (left, right)] == [6, 6]
    drawn = right.get_lines()[5].get_xydata()
    np.testing.assert_array_equal(drawn[:, 0], WIDTHS)
    sizes = check.data.change_std.sel(site="in", step=5)
    np.testing.assert_allclose(drawn[:, 1], np.exp(np.log(sizes).mean("seed")), rtol=1e-5)
    page = check.save(tmp_path / "check.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "not level, as in SP" in page


class _Linen(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(4, name="top")(jnp.tanh(nn.Dense(self.width, name="first")(x)))


class _Nnx(nnx.Module):
    def __init__(self, width, rngs):
        self.first = nnx.Linear(widths.INPUTS, width, rngs=rngs)
        self.top = nnx.Linear(width, 4, rngs=rngs)

    def __call__(self, x):
        return self.top(jnp.tanh(self.first(x)))


def _linen(width):
    model = _Linen(width)
    return lambda key: model.init(key, jnp.zeros((1, widths.INPUTS))), model.apply


def _nnx(width):
    graph, _ = nnx.split(nnx.eval_shape(lambda: _Nnx(width, nnx.Rngs(0))))
    return (
        lambda key: nnx.state(_Nnx(width, nnx.Rngs(key))),
        lambda params, x: nnx.merge(graph, params)(x),
    )


def _equinox(width):
    def made(key):
        return eqx.nn.MLP(widths.INPUTS, 4, width, 1, jnp.tanh, key=key)

    static = eqx.partition(eqx.filter_eval_shape(made, jax.random.key(0)), eqx.is_array_like)[1]
    return (
        lambda key: eqx.filter(made(key), eqx.is_inexact_array),
        lambda params, x: jax.vmap(eqx.combine(params, static))(x),
    )


@pytest.mark.parametrize(
    ("make", "sites"),
    [
        (_linen, ["params/first/kernel", "params/top/kernel"]),
        (_nnx, ["first/kernel", "top/kernel"]),
        (_equinox, ["layers/0/weight", "layers/1/weight"]),
    ],
)
def test_models_of_every_library(make, sites):
    check = _check(make, (32, 64, 128), optimizer=optax.adam(RATES["adam"]))
    assert [site.site for site in check.sites] == [*sites, "logits"]
    assert [site.role for site in check.sites] == ["input", "output", "outputs"]
    assert _by_site(check)[sites[1]].update.value == pytest.approx(1, abs=MARGIN)


def test_a_key_decides_all():
    first, same = (_check(mlp, (8, 16, 24), key=jax.random.key(3)) for _ in range(2))
    other = _check(mlp, (8, 16, 24), key=jax.random.key(4))
    xr.testing.assert_identical(first.data, same.data)
    assert not np.allclose(first.data.s_std, other.data.s_std)


def _lost(width):
    """Another name for one of its kernels from width 16 on."""
    init, apply_fn = mlp(width)
    if width < 16:
        return init, apply_fn

    def renamed(key):
        params = init(key)
        return {"upper" if name == "top" else name: w for name, w in params.items()}

    return renamed, lambda params, x: apply_fn(params | {"top": params["upper"]}, x)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (mlp, {"given": (8, 16)}, "widths: 8, 16: at least 3 make a slope"),
        (mlp, {"given": (8, 16, 16)}, "widths: 8, 16, 16 do not increase"),
        (mlp, {"given": (8, 16.5, 32)}, "widths: 8, 16.5, 32 are not all positive whole numbers"),
        (mlp, {"steps": 0}, "steps: 0 is not a positive whole number"),
        (mlp, {"seeds": True}, "seeds: True is not a positive whole number"),
        (
            lambda width: mlp(width)[0],
            {},
            "make: returns function at width 8, not two functions (init, apply_fn)",
        ),
        (
            lambda width: (mlp(width)[0](jax.random.key(0)), mlp(width)[1]),
            {},
            "make: returns (dict, function) at width 8, not two functions (init, apply_fn)",
        ),
        (lambda width: 1 // 0, {}, "make: fails at width 8 (ZeroDivisionError: "),
        (
            lambda width: (lambda key: {}["w"], mlp(width)[1]),
            {},
            "make: init fails at width 8 (KeyError: 'w')",
        ),
        (_lost, {}, "make: width 16 is without top and with upper, other than width 8"),
        (mlp, {"optimizer": 0.1}, "optimizer: is of type float at width 8, not of optax"),
        (
            mlp,
            {"optimizer": lambda width: width},
            "optimizer: is of type int at width 8, not of optax",
        ),
        (
            mlp,
            {"optimizer": lambda width: optax.sgd(np.inf if width == 16 else 0.1)},
            "make: in is not finite at width 16, step 1, seed 0; a smaller learning rate may do",
        ),
    ],
)
def test_what_cannot_be_checked_is_said_in_a_line(make, options, message):
    options = {"given": (8, 16, 24)} | options
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as raised:
        _check(make, **options)
    assert "\n" not in str(raised.value)


def test_a_model_without_a_gradient_is_said():
    def make(width):
        init, apply_fn = mlp(width)

        def looped(params, x):
            return jax.lax.while_loop(
                lambda s: jnp.sum(s[0]) < 0, lambda s: s, (apply_fn(params, x), 0)
            )[0]

        return init, looped

    with pytest.raises(ValueError, match=r"^make: apply_fn has no gradient in its parameters at"):
        _check(make, (8, 16, 24))
