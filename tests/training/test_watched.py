"""The paper's nets, watched: Figs. 2, 3, 9 and 10 come out of the same numbers."""

import jax
import numpy as np
import optax
import pytest

import glorot_jax as gj
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data.stream import Batch
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP, init, logits
from glorot_jax.training.loop import HeldOut, make_probe

WIDTHS, INPUTS, CLASSES, UPDATES = (20, 20, 20), 20, 4, 3
SGD = optax.sgd(0.5)
# What the probes measure of hidden layer i, as the watch has it: the activation is the input of
# the layer above.
ABOVE, BELOW = slice(1, None), slice(0, -1)
SAME = {
    "activation_mean": ("z_mean", ABOVE),  # Fig. 2
    "activation_std": ("z_std", ABOVE),  # Figs. 2, 3, 10
    "activation_mean_square": ("z_mean_square", ABOVE),
    "activation_quantile": ("z_quantile", ABOVE),  # Figs. 3, 10
    "activation_saturated": ("saturated", BELOW),
    "backprop_std": ("ds_std", BELOW),
    "backprop_mean_square": ("ds_mean_square", BELOW),
    "weight_gradient_std": ("dw_std", BELOW),  # Fig. 9
}


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_a_watch_sees_what_the_probes_see(activation):
    model = MLP(WIDTHS, CLASSES, ACTIVATIONS[activation])
    keys = jax.random.split(jax.random.key(0), 4)
    monitored = Batch(
        jax.random.normal(keys[0], (60, INPUTS)), jax.random.randint(keys[1], (60,), 0, CLASSES)
    )
    drawn = jax.random.normal(keys[2], (UPDATES, 10, INPUTS))
    labels = jax.random.randint(keys[3], (UPDATES, 10), 0, CLASSES)

    def apply_fn(params, x):
        return logits(model, params, x)

    watch = gj.watch(apply_fn, SGD, every=1)
    probe = make_probe(model, cross_entropy, bins=10)
    sets = HeldOut(monitored, monitored, monitored)

    @jax.jit
    def update(params, state, x, y):
        cost, grads = jax.value_and_grad(lambda p: cross_entropy(apply_fn(p, x), y).mean())(params)
        state, seen = watch(state, params, grads, tuple(monitored), cost=cost)
        steps, _ = SGD.update(grads, SGD.init(params))
        return optax.apply_updates(params, steps), state, seen, probe(params, sets)

    params = init(model, jax.random.key(1), INPUTS)
    state, courses = watch.init(params), []
    for x, y in zip(drawn, labels, strict=True):
        params, state, seen, measured = update(params, state, x, y)
        for name, (statistic, layers) in SAME.items():
            found = seen.values[statistic][layers]
            np.testing.assert_allclose(
                found, measured[name], rtol=2e-5, atol=1e-7, err_msg=f"{name}, {statistic}"
            )
        np.testing.assert_allclose(
            (seen.values["dw_std"] / seen.values["kernel_std"])[BELOW],
            measured["weight_gradient_ratio"],
            rtol=2e-5,
        )
        np.testing.assert_allclose(seen.overall["loss"], measured["test_cost"], rtol=1e-5)
        courses.append(measured["weight_gradient_std"])
    # A course of three equal points would prove little.
    assert (np.ptp(courses, axis=0) > 0.01 * courses[0]).all()
