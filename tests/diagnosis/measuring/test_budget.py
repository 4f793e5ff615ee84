"""What is left out of singular values when they take longer than all the rest."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import glorot_jax as gj
from glorot_jax.diagnosis import trace
from glorot_jax.diagnosis.measuring import budget
from tests.diagnosis.models import MODELS, traced

LAYERS, WIDTH, N = 12, 100, 16


def _apply(params, x):
    for kernel in params["layers"]:
        x = jnp.tanh(x @ kernel)
    return x @ params["last"]


@pytest.fixture(scope="module")
def deep():
    key = jax.random.key(0)
    layers = jax.random.normal(key, (LAYERS, WIDTH, WIDTH)) / WIDTH**0.5
    params = {"layers": list(layers), "last": jax.random.normal(key, (WIDTH, 3))}
    return params, jax.random.normal(key, (N, WIDTH))


@pytest.mark.parametrize("name", MODELS)
def test_of_a_small_model_all_is_measured(name):
    _, found = traced(name)
    share = budget.affordable(found)
    everything = tuple(range(len(found.sites)))
    assert (share.examples, share.sites, share.whole) == (found.n, everything, found.n)


def test_first_fewer_examples_then_fewer_sites(deep, monkeypatch):
    found = trace(_apply, *deep)
    seen = []
    monkeypatch.setattr(budget, "PASSES", 0)
    for least in np.logspace(10, 5, 20):
        monkeypatch.setattr(budget, "LEAST", least)
        seen.append(budget.affordable(found))
    for more, fewer in pairwise(seen):
        assert len(fewer.sites) <= len(more.sites)
        assert fewer.examples <= more.examples
        assert fewer.examples == budget.FEWEST or len(fewer.sites) == LAYERS + 1
    assert seen[0].examples == N
    assert (seen[-1].examples, seen[-1].whole) == (budget.FEWEST, budget.FEWEST)
    assert seen[-1].sites == (0, LAYERS - 1, LAYERS)  # the first and last of a kind
    assert any(budget.FEWEST < share.examples < N for share in seen)


def test_a_report_says_what_it_measured(deep, monkeypatch):
    params, x = deep
    labels = jnp.arange(N) % 3
    whole = gj.diagnose(_apply, params, x, labels)
    assert "spectra" not in whole.data.attrs
    monkeypatch.setattr(budget, "LEAST", 1.0)
    monkeypatch.setattr(budget, "PASSES", 0)
    part = gj.diagnose(_apply, params, x, labels)
    assert part.data.attrs["spectra"] == (
        "singular values: 2 of 16 examples, 3 of 13 sites, input to output by 2 examples; "
        "spectra=True measures all"
    )
    known = part.data.sigma_mean[0].notnull().values
    assert known.nonzero()[0].tolist() == [0, LAYERS - 1, LAYERS]
    assert float(part.data.sigma_mean[0, 0]) == pytest.approx(
        float(whole.data.sigma_mean[0, 0]), rel=0.2
    )
    assert part.data.whole_sigma_mean.notnull().all()
