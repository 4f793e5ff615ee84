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
# # Your own Flax or Equinox model
#
# `diagnose` takes any function `apply_fn(params, x) -> logits` and its parameters. A library's
# model is split into the two; nothing in it changes.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/glorot-jax/glorot_jax/blob/main/notebooks/04_your_own_model.ipynb)
#
# All of it takes about a minute on two CPU cores. On Colab choose a
# GPU or TPU under Runtime, Change runtime type, and it goes faster: nothing else has to change.

# %%
import sys

if "google.colab" in sys.modules:  # elsewhere it is installed already
    import subprocess

    sources = ["glorot_jax @ git+https://github.com/glorot-jax/glorot_jax", "equinox"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *sources], check=True)

# %%
import equinox as eqx
import jax
import jax.numpy as jnp
from flax import nnx

import glorot_jax as gj
from glorot_jax.data import shapeset

x, y = shapeset.sample(jax.random.key(0), 100)

# %% [markdown]
# ## Flax NNX
#
# A small transformer without any normalisation: each image is 32 tokens, its rows.


# %%
class Block(nnx.Module):
    def __init__(self, width, rngs):
        self.attention = nnx.MultiHeadAttention(4, width, decode=False, rngs=rngs)
        self.up = nnx.Linear(width, 4 * width, rngs=rngs)
        self.down = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, h):
        h = h + self.attention(h)
        return h + self.down(nnx.relu(self.up(h)))


class Transformer(nnx.Module):
    def __init__(self, width, depth, rngs):
        self.embed = nnx.Linear(32, width, rngs=rngs)
        self.blocks = nnx.List([Block(width, rngs) for _ in range(depth)])
        self.head = nnx.Linear(width, len(shapeset.CLASS_NAMES), rngs=rngs)

    def __call__(self, x):
        h = self.embed(x.reshape(-1, 32, 32))
        for block in self.blocks:
            h = block(h)
        return self.head(h.mean(axis=1))


graph, params = nnx.split(Transformer(16, 2, nnx.Rngs(0)))


def apply_nnx(params, x):
    return nnx.merge(graph, params)(x)


# spectra=False leaves out singular values, which take about half of the time.
report = gj.diagnose(apply_nnx, params, x, y, spectra=False)
print(report)

# %% [markdown]
# ## Equinox
#
# Its models see one example; `vmap` makes them see many.

# %%
whole = eqx.nn.MLP(1024, 9, 64, 8, activation=jnp.tanh, key=jax.random.key(1))
weights, static = eqx.partition(whole, eqx.is_inexact_array)


def apply_equinox(weights, x):
    return jax.vmap(eqx.combine(weights, static))(x)


print(gj.diagnose(apply_equinox, weights, x, y, spectra=False))

# %% [markdown]
# Equinox draws U[-1/sqrt(n), 1/sqrt(n)], as PyTorch does: n Var[W] = 1/3, and the signal shrinks
# from layer to layer. `calibrate` scales the kernels; the structure of the parameters stays.

# %%
calibrated = gj.calibrate(apply_equinox, weights, x, y, mode="critical")
mended = eqx.combine(calibrated.params, static)
print(gj.diagnose(apply_equinox, calibrated.params, x, y, spectra=False))
