"""Examples in pieces: what one pass over all of them shows."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glorot_jax as gj
from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.examination import examination
from glorot_jax.diagnosis.measuring.fingerprints import input_sources
from glorot_jax.diagnosis.measuring.moments import SAMPLE
from glorot_jax.diagnosis.measuring.pieces import in_pieces, piece_sizes
from glorot_jax.losses import cross_entropy
from tests.diagnosis import models

BINS = 8
# A histogram has the reach of its own piece; two sums depend on the order of all the values.
_NEARLY = {"s_histogram", "ds_histogram", "z_fingerprint", "f_fingerprint"}


def _both(apply_fn, params, x, y, *, batch, loss=cross_entropy):
    """Examined at once, and in pieces."""
    traced = trace_with_costs(apply_fn, params, x, y, loss=loss)
    whole = examination(traced, loss, BINS)
    return [
        in_pieces(apply_fn, params, x, y, whole, batch=size).examine(params)
        for size in (None, batch)
    ]


def _assert_close(ours, theirs, what, rtol=2e-5):
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), what
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=2e-6, err_msg=what)


@given(st.integers(2, 400), st.integers(2, 500))
def test_pieces_are_all_examples_and_none_is_alone(n, batch):
    sizes = piece_sizes(n, batch)
    assert sum(sizes) == n
    assert min(sizes) >= 2
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= (3 if batch == 2 else batch)


def _assert_same(merged, whole):
    assert set(merged.rows) == set(whole.rows)
    for statistic in sorted(set(whole.rows) - _NEARLY):
        _assert_close(merged.rows[statistic], whole.rows[statistic], statistic)
    for statistic in ("s_histogram", "ds_histogram"):
        shares = (np.sum(one.rows[statistic], axis=1) for one in (merged, whole))
        _assert_close(*shares, statistic)
    for field in ("outputs", "costs", "gradient", "size", "sensitivity", "unseen"):
        pairs = zip(*(jax.tree.leaves(getattr(e, field)) for e in (merged, whole)), strict=True)
        for ours, theirs in pairs:
            _assert_close(ours, theirs, field)
    for place, values in whole.softmaxes.items():
        for statistic in ("entropy", "spread"):
            _assert_close(merged.softmaxes[place][statistic], values[statistic], statistic)


@pytest.mark.parametrize("name", ["recurrent", "cond", "embedding", "linen_cnn_with_attention"])
def test_rows_are_those_of_one_pass(name):
    model = getattr(models, name)()
    whole, merged = _both(model.apply, model.params, model.x, models.labels(), batch=3)
    _assert_same(merged, whole)


@pytest.mark.parametrize("batch", [None, 3])
def test_an_accelerator_s_signals_are_reduced_in_the_program(batch, monkeypatch):
    model = models.relu()
    data = model.apply, model.params, model.x, models.labels()
    traced = trace_with_costs(*data, loss=cross_entropy)
    whole = examination(traced, cross_entropy, BINS)
    on_host = in_pieces(*data, whole, batch=batch).examine(model.params)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    compiled = in_pieces(*data, whole, batch=batch).examine(model.params)
    _assert_same(on_host, compiled)
    _assert_close(on_host.rows["s_histogram"], compiled.rows["s_histogram"], "s_histogram")


def test_two_sizes_of_pieces_count_by_their_examples():
    rng, model = np.random.default_rng(0), models.relu()
    x = jnp.asarray(rng.normal(size=(7, 5)).astype(np.float32)) + jnp.arange(7.0)[:, None]
    examined = whole, merged = _both(model.apply, model.params, x, jnp.arange(7) % 3, batch=4)
    _assert_same(merged, whole)
    found = [input_sources(e.rows["z_fingerprint"], e.rows["f_fingerprint"]) for e in examined]
    assert [source.row for source in found[0]] == [None, 0, 1]
    assert found[1] == found[0]


def test_a_unit_is_dead_only_if_it_is_in_every_piece():
    # Unit k lives for example k alone; the last unit for none.
    x, kernel = jnp.eye(6), 2 * jnp.eye(6)[:, :5]
    params = {"w": jnp.append(kernel, -jnp.ones((6, 1)), axis=1), "v": jnp.ones((6, 3))}

    def apply(params, x):
        return jax.nn.relu(x @ params["w"] - 1.0) @ params["v"]

    whole, merged = _both(apply, params, x, models.labels(), batch=2)
    assert merged.rows["dead"][0] == pytest.approx(1 / 6)
    assert whole.rows["dead"][0] == pytest.approx(1 / 6)


def test_each_piece_is_a_step_that_is_told(caplog):
    with caplog.at_level(logging.INFO, logger="glorot_jax"):
        x, y = jnp.ones((7, 3)), jnp.arange(7) % 3
        _both(lambda p, x: x @ p["w"], {"w": jnp.eye(3)}, x, y, batch=4)
    steps = [text for text in caplog.messages if text.startswith("measuring")]
    assert steps == ["measuring examples 1 to 4 of 7", "measuring examples 5 to 7 of 7"]


def test_nan_in_the_last_piece_is_found():
    def apply(params, x):
        return jnp.sqrt(x @ params["w"])

    x = jnp.ones((6, 3)).at[5].set(-1.0)
    params = {"w": jnp.eye(3)}
    _, merged = _both(apply, params, x, models.labels(), batch=3)
    assert np.isnan(merged.costs).tolist() == [False] * 5 + [True]
    assert np.isnan(merged.gradient["w"]).any()
    assert np.isfinite(merged.rows["s_mean"]).all()  # of s before the square root
    report = gj.diagnose(apply, params, x, models.labels(), batch=3, spectra=False)
    assert "sqrt" in str(report.findings[0])


def test_quantiles_of_many_values_are_of_a_sample_of_every_piece():
    """Within 4 standard errors of those of all values, by ``moments.quantiles``."""
    rng = np.random.default_rng(0)
    scale = np.linspace(0.1, 3, 40)[:, None]  # sorted, so that no piece is like another
    x = jnp.asarray((scale * rng.normal(size=(40, 1000))).astype(np.float32))
    params = {"w": jnp.asarray(rng.normal(size=(1000, 3)).astype(np.float32))}
    _, merged = _both(lambda p, x: x @ p["w"], params, x, jnp.arange(40) % 3, batch=8)
    chances = np.array([0.02, 0.5, 0.98])
    error = np.sqrt(chances * (1 - chances) / SAMPLE)
    below = [np.mean(np.asarray(x) < value) for value in merged.rows["z_quantile"][0]]
    assert (np.abs(below - chances) < 4 * error).all()


def test_low_precision_and_complex_parameters():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 3)) + 1j * rng.normal(size=(4, 3))
    params = {
        "u": jnp.asarray(rng.normal(size=(5, 4)), jnp.bfloat16),
        "w": jnp.asarray(w, jnp.complex64),
    }

    def apply(params, x):
        hidden = jnp.tanh(x.astype(jnp.bfloat16) @ params["u"])
        return jnp.abs(hidden.astype(jnp.complex64) @ params["w"])

    whole, merged = _both(apply, params, models.examples(), models.labels(), batch=2)
    assert merged.gradient["u"].dtype == jnp.bfloat16
    for statistic in sorted(set(whole.rows) - _NEARLY):
        # A gradient in bfloat16 is rounded once a piece.
        rtol = 2**-8 if statistic.startswith("dw_") else 2e-5
        _assert_close(merged.rows[statistic], whole.rows[statistic], statistic, rtol)


def test_outputs_that_all_examples_share_are_averaged():
    def apply(params, x):
        s = x @ params["w"]
        return {"logits": s, "size": jnp.mean(jnp.square(s))}

    def loss(outputs, y):
        return cross_entropy(outputs["logits"], y) + 0.1 * outputs["size"]

    params = {"w": jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))}
    x, y = models.examples(), models.labels()
    whole, merged = _both(apply, params, x, y, batch=3, loss=loss)
    _assert_close(merged.outputs["logits"], whole.outputs["logits"], "logits")
    _assert_close(merged.outputs["size"], whole.outputs["size"], "size")


def _mlp(params, x):
    return jnp.tanh(x["a"] @ params) @ jnp.ones((4, 3))


@pytest.mark.parametrize(
    ("x", "y", "batch", "message"),
    [
        ({"a": jnp.ones((6, 5))}, jnp.zeros(6, int), 0, "batch: 0 is not a number of examples"),
        ({"a": jnp.ones((6, 5))}, jnp.zeros(6, int), 1, "batch: 1 is not a number of examples"),
        ({"a": jnp.ones((6, 5))}, jnp.zeros(6, int), -2, "batch: -2 is not a number of examples"),
        (
            {"a": jnp.ones((6, 5)), "edges": jnp.ones((9, 2))},
            jnp.zeros(6, int),
            2,
            r"batch: edges is \[9, 2\], without an axis of the 6 examples first, and can't be cut",
        ),
        (
            {"a": jnp.ones((6, 5))},
            (jnp.zeros(6, int), jnp.ones(3)),
            2,
            r"batch: 1 is \[3\], without an axis of the 6 examples first",
        ),
    ],
)
def test_what_cannot_be_cut_is_one_sentence(x, y, batch, message):
    def loss(outputs, y):
        return cross_entropy(outputs, y[0] if isinstance(y, tuple) else y)

    with pytest.raises(ValueError, match=message) as caught:
        gj.diagnose(_mlp, jnp.ones((5, 4)), x, y, loss=loss, batch=batch, spectra=False)
    assert "\n" not in str(caught.value)


def test_a_loss_of_a_fixed_number_of_examples_is_one_sentence():
    weights = jnp.arange(6.0)
    with pytest.raises(ValueError, match=r"batch: with 3 examples, loss: fails"):
        gj.diagnose(
            _mlp,
            jnp.ones((5, 4)),
            {"a": models.examples()},
            models.labels(),
            loss=lambda outputs, y: weights * cross_entropy(outputs, y),
            batch=3,
            spectra=False,
        )


def test_a_report_by_batches():
    """Nets of several seeds, singular values of the first batch, and a loss that compares."""
    model = models.plain_mlp()
    nets = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), model.params)
    x, y = model.x, models.labels()

    def compares(outputs, y):
        costs = cross_entropy(outputs, y)
        return costs + 0.5 * jnp.mean(costs)

    whole, merged = (
        gj.diagnose(model.apply, nets, x, y, seeds=2, loss=compares, **how).to_dataset()
        for how in ({"batch": 300, "spectra": False}, {"batch": 3})
    )
    for name in ("s_mean_square", "ds_norm", "dw_norm", "dead", "s_mean_square_noise"):
        np.testing.assert_allclose(merged[name], whole[name], rtol=2e-5, atol=1e-6, err_msg=name)
    assert merged.sigma_mean.notnull().all()
    assert merged.attrs["spectra"] == "singular values: the first batch, 3 of 6 examples"
    assert merged.attrs["examples"] == 6
    said = "the loss compares examples: with batch=3 only within a batch"
    assert said in merged.attrs["unseen"]
    assert said not in whole.attrs["unseen"]
