# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does your initialiser train?
#
# An initialiser is any function `(key, shape, dtype) -> Array`. This notebook trains one beside the
# paper's two on online Shapeset: all seeds and all initialisers of one architecture are members of
# one ensemble, in one compiled program.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/glorot-jax/glorot_jax/blob/main/notebooks/02_your_own_initializer.ipynb)
#
# All of it takes about a minute on two CPU cores, most of it training. On Colab choose a
# GPU or TPU under Runtime, Change runtime type, and it goes faster: nothing else has to change.

# %%
import sys

if "google.colab" in sys.modules:  # elsewhere it is installed already
    import subprocess

    source = "glorot_jax @ git+https://github.com/glorot-jax/glorot_jax"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np
import optax
from IPython.display import display

from glorot_jax import activations, initializers, losses
from glorot_jax.data import shapeset
from glorot_jax.network import MLP, init
from glorot_jax.training import ensemble, loop, update

# %% [markdown]
# ## Your initialiser


# %%
def sparse(connections: int = 15):
    """Every unit gets `connections` N(0, 1) weights, the rest are 0 (Martens 2010)."""

    def draw(key, shape, dtype=np.float32):
        n_in, n_out = shape
        weights_key, order_key = jax.random.split(key)
        rank = jax.random.uniform(order_key, (n_in, n_out)).argsort(axis=0)
        weights = jax.random.normal(weights_key, (n_in, n_out), dtype)
        return np.array(0.3, dtype) * weights * (rank < connections)

    return draw


contenders = {
    "standard": initializers.standard(),
    "normalized": initializers.normalized(),
    "sparse": sparse(),
}

# %% [markdown]
# ## One ensemble: initialisers x seeds

# %%
seeds, updates, points, batch_size = 2, 3000, 6, 10
task = shapeset.task(jax.random.key(0), block_size=1000, validation=1000, test=2000)
model = MLP((100,) * 5, len(task.class_names), activations.tanh)
variants = [(seed, make) for seed in range(seeds) for make in contenders.values()]


def member(seed, make):
    """A network started by `make`, at a learning rate of 0.03."""
    params = init(model.clone(kernel_init=make), jax.random.key(seed), task.test.x.shape[1])
    return ensemble.fresh_member(params, 0.03, optax.sgd)


mesh = ensemble.member_mesh()
members = ensemble.create(
    [member(seed, make) for seed, make in variants],
    [seed for seed, _ in variants],
    stream=task.train,
    key=jax.random.key(1),
    mesh=mesh,
)
advance = ensemble.make_advance(
    train=update.one_by_one(update.make_update(model, losses.cross_entropy, optax.sgd)),
    probe=loop.make_probe(model, losses.cross_entropy, bins=50),
    stream=task.train,
    batch_size=batch_size,
    mesh=mesh,
)
blocks = [0] + [updates * batch_size // task.train.block_size // points] * points
history = [
    jax.tree.map(np.asarray, measured)
    for _, _, measured in loop.run(
        advance,
        members,
        arrays=task.train.arrays,
        sets=loop.held_out(task, probe_examples=300),
        blocks=blocks,
    )
]

# %% [markdown]
# ## What happened

# %%
at = np.cumsum(blocks) * task.train.block_size // batch_size
error = np.stack([h["test_error"][: len(variants)] for h in history]).reshape(len(at), seeds, -1)
spread = np.stack([h["weight_gradient_std"][: len(variants)] for h in history])
spread = (spread.max(axis=-1) / spread.min(axis=-1)).reshape(len(at), seeds, -1)
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
for index, name in enumerate(contenders):
    axes[0].plot(at, 100 * error[:, :, index].mean(axis=1), marker="o", label=name)
    axes[1].semilogy(at, spread[:, :, index].mean(axis=1), marker="o", label=name)
axes[0].set(xlabel="updates", ylabel="test error (%)", title="Shapeset")
axes[1].set(xlabel="updates", title="weight gradients: largest layer over smallest")
axes[0].legend()
plt.close(fig)
alt = "Test error against updates, and the ratio of the largest to the smallest layer's gradient."
display(fig, metadata={"image/png": {"alt": alt}})
