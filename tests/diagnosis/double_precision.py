"""Diagnosis, monitor and calibration where JAX makes float64 by default; a program of its own."""

import jax
import jax.numpy as jnp
import numpy as np

import glorot_jax as gj
from tests.diagnosis.models import MODELS, labels


def main() -> None:
    assert jax.config.jax_enable_x64
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    model = MODELS["plain_mlp"]()
    for dtype in (np.float32, np.float64):
        params, x = jax.tree.map(
            lambda leaf, dtype=dtype: leaf.astype(dtype), (model.params, model.x)
        )
        _diagnosed(model.apply, params, x)
    _diagnosed(MODELS["cond"]().apply, MODELS["cond"]().params, model.x)


def _diagnosed(apply, params, x):
    report = gj.diagnose(apply, params, x, labels())
    assert str(report)
    w = np.asarray(params["first"]["w"], np.float64)
    b = np.asarray(params["first"]["b"], np.float64)
    s = np.asarray(x, np.float64) @ w + b
    jacobians = w.T[None] * (1 - np.tanh(s) ** 2)[:, :, None]
    singular = np.linalg.svd(jacobians, compute_uv=False)
    first = report.data.isel(seed=0, site=0)
    np.testing.assert_allclose(first.gain, len(w) * w.var(), rtol=1e-5)
    np.testing.assert_allclose(first.s_quantile, np.quantile(s, (0.02, 0.5, 0.98)), rtol=1e-4)
    np.testing.assert_allclose(first.sigma_mean, singular.mean(), rtol=1e-4)
    assert np.isfinite(report.data.whole_sigma_mean).all()
    seen = jax.jit(lambda params: gj.monitor(apply, params, x, labels()))(params)
    assert all(values.dtype == jnp.float32 for values in seen.values.values())
    for mode in ("backward", "critical"):
        made = gj.calibrate(apply, params, x, labels(), mode=mode)
        assert made.params["first"]["w"].dtype == params["first"]["w"].dtype
        assert made.factors["first/w"] > 0


if __name__ == "__main__":
    main()
