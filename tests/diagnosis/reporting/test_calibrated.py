"""Reports on the parameters before and after calibration."""

import jax.numpy as jnp
import numpy as np

import glorot_jax as gj
from tests import numpy_net
from tests.diagnosis.models import labels, traced


def test_the_reports_are_on_before_and_after():
    model, _ = traced("plain_mlp")
    made = gj.calibrate(model.apply, model.params, model.x, labels(), report=True)
    for report, statistics in zip(made.reports, (made.before, made.after), strict=True):
        for name, values in statistics.values.items():
            np.testing.assert_allclose(report.data[name][0], values, rtol=1e-4)
    assert "theory" in str(made.reports[1])


def test_without_labels_and_unless_asked_for():
    random = np.random.default_rng(0)
    shapes = {"w": (6, 5), "v": (5, 4)}
    params = {k: jnp.asarray(random.normal(size=n), jnp.float32) for k, n in shapes.items()}
    x, _ = numpy_net.random_examples(0, 20, 6, 4)

    def apply(params, x):
        return jnp.tanh(x @ params["w"]) @ params["v"]

    assert gj.calibrate(apply, params, x).reports is None
    made = gj.calibrate(apply, params, x, report=True)
    for report, statistics in zip(made.reports, (made.before, made.after), strict=True):
        np.testing.assert_allclose(report.data.ds_std[0], statistics.values["ds_std"], rtol=1e-4)
