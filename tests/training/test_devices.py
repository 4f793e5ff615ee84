"""One ensemble on 1, 2, 4 and 8 devices."""

import os
import subprocess
import sys

from tests.commands import ROOT

# Eight devices: those of the test's own process are two.
PROGRAM = """
import jax
import numpy as np
import optax

from glorot_jax.data import shapeset
from glorot_jax.initializers import normalized, standard
from glorot_jax.keys import named
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP, init
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training.update import make_update, mean_cost, one_by_one

key = jax.random.key(0)
stream = shapeset.stream(block_size=50)
held_out = shapeset.sample(key, 100)
grid = [(s, i, r) for s in range(3) for i in (standard(), normalized()) for r in (0.03, 0.1)]
seeds = [seed for seed, *_ in grid]
model = MLP((12, 12), 9)
update = make_update(model, cross_entropy, optax.sgd)
starts = [
    init(model.clone(kernel_init=initializer), named(key, "weights", seed), 1024)
    for seed, initializer, _ in grid
]


def trained(devices):
    mesh = ensembles.member_mesh(jax.devices()[:devices])
    rates = [rate for *_, rate in grid]
    members = [ensembles.fresh_member(p, r, optax.sgd) for p, r in zip(starts, rates)]
    ensemble = ensembles.create(members, seeds, stream=stream, key=key, mesh=mesh)
    advance = ensembles.make_advance(
        train=one_by_one(update),
        probe=lambda params, batch: mean_cost(model, cross_entropy, params, batch),
        stream=stream,
        batch_size=10,
        mesh=mesh,
    )
    ensemble, costs = advance(ensemble, stream.arrays, held_out, 4)
    whole = ensembles.without_padding(ensemble, seeds, mesh=mesh)
    return [*jax.tree.leaves(whole.members), np.asarray(costs)[: len(grid)]]


alone = trained(1)
moved = np.abs(alone[0] - np.stack([jax.tree.leaves(p)[0] for p in starts])).max()
assert moved > 1e-3, moved
for devices in (2, 4, 8):
    for one, several in zip(alone, trained(devices), strict=True):
        np.testing.assert_allclose(several, one, rtol=1e-5, atol=1e-5)
print("the same on", jax.device_count())
"""


def test_1_2_4_and_8_devices_train_the_same_members():
    """Twelve of three seeds: 8 devices hold two each, and four of the rows are padding."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "8"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, "the same on 8\n"), done.stderr
