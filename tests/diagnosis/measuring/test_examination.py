"""A pass reduced on the host shows what one shows that is reduced where it is computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.examination import examination
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.losses import cross_entropy
from tests.diagnosis import models, more_models

MODELS = {
    name: getattr(models, name)
    for name in (
        "silu_gate",
        "recurrent",
        "nested_scans",
        "cond_in_scan",
        "while_loop",
        "tied",
        "custom_vjp",
        "embedding",
        "linen_cnn_with_attention",
    )
} | {name: more_models.MORE[name] for name in ("complex_kernel", "with_places_left_empty")}


def _in_bfloat16():
    model = models.gelu()
    cast = [jax.tree.map(lambda a: a.astype(jnp.bfloat16), tree) for tree in model[1:3]]
    return model._replace(params=cast[0], x=cast[1])


def _with_nan():
    model = models.relu()
    return model._replace(apply=lambda params, x: model.apply(params, jnp.sqrt(x)))


def _both(model):
    """Examined by programs alone, and by a program and NumPy."""
    y = models.labels()
    traced = trace_with_costs(model.apply, model.params, model.x, y, loss=cross_entropy)
    exam = examination(traced, cross_entropy, 8)
    programs = jax.jit(exam.piece), compiled_once(exam.exposed)
    piece, exposed = jax.device_get([run(model.params, model.x, y) for run in programs])
    return exam.whole(piece), exam.whole(exam.reduced(exposed))


def _assert_rows_alike(compiled, on_host, rtol_of_f=2e-5):
    assert compiled.rows.keys() == on_host.rows.keys()
    assert len(compiled.rows) > 30
    for name, theirs in compiled.rows.items():
        ours = on_host.rows[name]
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), name
        rtol = rtol_of_f if name.startswith("f_") else 2e-5
        # Sums that a fingerprint adds up are a few units in size.
        atol = rtol if name.endswith("fingerprint") else rtol / 10
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol, err_msg=name)
    assert any(np.isfinite(values).any() for values in on_host.rows.values())


@pytest.mark.parametrize("make", [*MODELS.values(), _with_nan])
def test_the_host_shows_what_a_program_shows(make):
    compiled, on_host = _both(make())
    _assert_rows_alike(compiled, on_host)
    rest = zip(
        *(jax.tree.leaves(one._replace(rows={})) for one in (on_host, compiled)), strict=True
    )
    for ours, theirs in rest:
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(
            ours.astype(complex), theirs.astype(complex), rtol=2e-5, atol=2e-6
        )


def test_in_bfloat16_f_is_as_rounded_as_the_model_s_own_on_the_host():
    compiled, on_host = _both(_in_bfloat16())
    _assert_rows_alike(compiled, on_host, rtol_of_f=2**-7)
    # What the next kernel sees is f(s) to the last bit; a program may skip the rounding.
    z, f = on_host.rows["z_fingerprint"], on_host.rows["f_fingerprint"]
    np.testing.assert_array_equal(z[1], f[0])
