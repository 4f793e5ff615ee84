"""The parts of the logits against NumPy's of an independent forward pass."""

from functools import partial

import jax
import numpy as np
import pytest

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data.stream import Batch
from glorot_jax.network import MLP
from glorot_jax.probes import output_statistics
from tests import numpy_net

SIZES = (6, 9, 5, 3)
BATCH = Batch(*numpy_net.random_examples(0, 20, SIZES[0], SIZES[-1]))
PARAMS = numpy_net.random_params(0, SIZES, stddev=1.5)
PROBE = jax.jit(partial(output_statistics, MLP(SIZES[1:-1], SIZES[-1], ACTIVATIONS["tanh"])))


def test_the_parts_are_those_of_numpy():
    found = PROBE(PARAMS, BATCH)
    _, z = numpy_net.forward(PARAMS, BATCH.x, "tanh")
    signal = np.asarray(z[-1], np.float64) @ np.asarray(PARAMS["output"]["kernel"], np.float64)
    of_classes = signal - signal.mean(axis=1, keepdims=True)
    assert float(found["bias_std"]) == pytest.approx(np.std(PARAMS["output"]["bias"]), rel=1e-5)
    assert float(found["signal_std"]) == pytest.approx(
        np.sqrt(of_classes.var(axis=0).mean()), rel=1e-5
    )


def test_what_all_classes_or_all_examples_share_is_no_signal():
    before = PROBE(PARAMS, BATCH)
    output = PARAMS["output"]
    everywhere = {**PARAMS, "output": {**output, "kernel": output["kernel"] + 3.0}}
    assert float(PROBE(everywhere, BATCH)["signal_std"]) == pytest.approx(
        float(before["signal_std"]), rel=1e-4
    )
    same = Batch(np.repeat(BATCH.x[:1], 20, axis=0), BATCH.y)
    assert float(PROBE(PARAMS, same)["signal_std"]) == pytest.approx(0, abs=1e-5)
    lifted = {**PARAMS, "output": {**output, "bias": output["bias"] + 2.0}}
    assert float(PROBE(lifted, BATCH)["bias_std"]) == pytest.approx(
        float(before["bias_std"]), rel=1e-4
    )
