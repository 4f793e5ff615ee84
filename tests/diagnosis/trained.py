"""Small nets trained for some hundred updates under a watch: sick ones, and healthy neighbours."""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import glorot_jax as gj
from glorot_jax.diagnosis.reporting import writers
from glorot_jax.losses import cross_entropy

UPDATES, EVERY, BATCH = 400, 10, 64
INPUTS, WIDTH, CLASSES, EXAMPLES = 16, 32, 5, 4096


class Run(NamedTuple):
    """``costs``: [UPDATES], of every update, whether measured or not."""

    watch: gj.Watch
    history: list
    costs: np.ndarray

    @property
    def findings(self):
        return {finding.kind: finding for finding in self.watch.findings(self.history)}


def _names(depth):
    return [*(f"hidden_{i + 1:02d}" for i in range(depth)), "output"]


def init(gain=1.0, depth=4, dtype=jnp.float32):
    sizes = [INPUTS, *[WIDTH] * depth, CLASSES]
    rng = np.random.default_rng(1)
    return {
        name: {
            "w": jnp.asarray(rng.normal(0, gain * n**-0.5, (n, m)), dtype),
            "b": jnp.zeros(m, dtype),
        }
        for name, n, m in zip(_names(depth), sizes[:-1], sizes[1:], strict=True)
    }


def mlp(activation, params, x):
    x = x.astype(params["output"]["w"].dtype)
    for name in _names(len(params) - 1)[:-1]:
        x = activation(x @ params[name]["w"] + params[name]["b"][None])
    return (x @ params["output"]["w"] + params["output"]["b"][None]).astype(jnp.float32)


def normalised_mlp(params, x):
    """Kernels of norm 1 a unit, whatever their own norm: only their directions count."""
    unit = {
        name: {"w": layer["w"] / jnp.linalg.norm(layer["w"], axis=0)[None], "b": layer["b"]}
        for name, layer in params.items()
    }
    return mlp(jnp.tanh, unit, 2 * x)


def examples():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(EXAMPLES, INPUTS))
    scores = np.tanh(x @ rng.normal(size=(INPUTS, CLASSES)))
    y = np.argmax(scores + 0.3 * rng.normal(size=scores.shape), axis=1)
    return jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.int32)


@cache
def _program(apply_fn, decay):
    """One program for every rate and every batch: the rate and scale of x at each update."""

    def train(params, rates, scales):
        optimizer = optax.chain(
            optax.add_decayed_weights(decay), optax.sgd(lambda count: rates[count])
        )
        watch = gj.watch(apply_fn, optimizer, every=EVERY)
        x, y = examples()

        def update(carry, given):
            params, opt_state, state = carry
            key, scale = given
            chosen = jax.random.randint(key, (BATCH,), 0, EXAMPLES)
            batch = x[chosen] * scale, y[chosen]

            def mean_cost(params):
                return jnp.mean(cross_entropy(apply_fn(params, batch[0]), batch[1]))

            cost, grads = jax.value_and_grad(mean_cost)(params)
            state, seen = watch(state, params, grads, batch, opt_state=opt_state, cost=cost)
            steps, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, steps), opt_state, state), (seen, cost)

        carry = params, optimizer.init(params), watch.init(params)
        keys = jax.random.split(jax.random.key(2), UPDATES)
        return jax.lax.scan(update, carry, (keys, scales))[1]

    return jax.jit(train)


TANH, RELU = partial(mlp, jnp.tanh), partial(mlp, jax.nn.relu)


def train(apply_fn, params, rates, *, scales=1.0, decay=0.0):
    """``rates``, ``scales``: a number, or one for each update."""
    each = [
        jnp.asarray(np.broadcast_to(values, UPDATES), jnp.float32) for values in (rates, scales)
    ]
    seen, costs = _program(apply_fn, decay)(params, *each)
    watch = gj.watch(apply_fn, every=EVERY)
    return Run(watch, writers.records(range(UPDATES), seen), np.asarray(costs))


def at(update, value, usual=1.0):
    """[UPDATES], ``usual`` everywhere but at one."""
    values = np.full(UPDATES, usual)
    values[update] = value
    return values


RUNS = {
    "tanh": lambda: train(TANH, init(), 0.3),
    "tanh saturating": lambda: train(TANH, init(), 1.7),
    "tanh nearly saturating": lambda: train(TANH, init(), 0.5),
    "tanh standing still": lambda: train(TANH, init(), 1e-4),
    "relu": lambda: train(RELU, init(1.4), 0.1),
    "relu dying": lambda: train(RELU, init(1.4), at(101, 20.0, 0.1)),
    "relu after a large step": lambda: train(RELU, init(1.4), at(101, 3.0, 0.1)),
    "relu with a bad batch": lambda: train(RELU, init(1.4), 0.1, scales=at(203, 30.0)),
    "relu with a hard batch": lambda: train(RELU, init(1.4), 0.1, scales=at(203, 1.5)),
    "relu diverging": lambda: train(RELU, init(1.4), 30.0),
    "normalised, decaying": lambda: train(normalised_mlp, init(), 0.05, decay=0.2),
    "normalised, by a schedule": lambda: train(
        normalised_mlp, init(), 0.05 * 0.5 ** (np.arange(UPDATES) / 60), decay=0.0
    ),
    "bfloat16": lambda: train(TANH, init(depth=1, dtype=jnp.bfloat16), 0.02),
    "float32": lambda: train(TANH, init(depth=1), 0.02),
}


@cache
def run(name):
    return RUNS[name]()
