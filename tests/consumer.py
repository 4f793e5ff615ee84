"""A program that uses the library, as somebody else's type checker sees it; it need not run."""

from typing import assert_type

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]
import xarray as xr

import glorot_jax as gj
from glorot_jax import activations, initializers, probes
from glorot_jax.data import shapeset
from glorot_jax.diagnosis import Finding
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP, init, logits

Weights = dict[str, jax.Array]


def apply_fn(params: Weights, x: jax.Array) -> jax.Array:
    return jnp.tanh(x @ params["first"]) @ params["last"]


def draw(key: jax.Array) -> Weights:
    return {"first": jax.random.normal(key, (8, 8)), "last": jnp.ones((8, 3))}


def diagnosed(params: Weights, x: jax.Array, y: jax.Array) -> gj.Report:
    report = gj.diagnose(apply_fn, params, x, y, loss=cross_entropy)
    assert_type(report, gj.Report)
    assert_type(report.healthy, bool)
    assert_type(report.findings, tuple[Finding, ...])
    assert_type(report.to_dataset(), xr.Dataset)
    return gj.diagnose(apply_fn, draw, x, y, seeds=3, spectra=False)


def watched(params: Weights, batch: tuple[jax.Array, jax.Array]) -> dict[str, float]:
    watch = gj.watch(apply_fn, optax.sgd(0.1), every=10)
    assert_type(watch, gj.Watch)
    state, seen = watch(watch.init(params), params, params, batch)
    assert_type(watch.findings([(0, seen)]), tuple[Finding, ...])
    watch.page([(0, seen)]).save("watch.html")
    watch(state, params, params, batch, cost=jnp.zeros(()))
    return watch.scalars(seen)


def mended(params: Weights, x: jax.Array, y: jax.Array) -> Weights:
    calibrated = gj.calibrate(apply_fn, params, x, y, mode="critical")
    assert_type(calibrated.params, Weights)
    return calibrated.params


def model() -> gj.Model:
    batch = shapeset.sample(jax.random.key(0), 20)
    mlp = MLP((8, 8), 9, activations.tanh, initializers.normalized())
    params = init(mlp, jax.random.key(1), 1024)
    probes.activation_statistics(mlp, params, batch)
    return gj.Model(lambda p, x: logits(mlp, p, x), params, batch.x, batch.y)
