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
# # Why deep networks were hard to train
#
# Glorot & Bengio (2010) asked why a deep network started from the usual small random weights trains
# badly. This notebook follows their argument with the paper in hand: what happens to signals and
# gradients on the way through five layers, and what one change of scale does about it. Every cell
# runs in seconds on a CPU, a GPU or a TPU.

# %%
# On Colab, clone this repository to /content/glorot_jax and install it first:
# # %pip install -q /content/glorot_jax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

from glorot_jax import activations, initializers, probes, theory
from glorot_jax.data import shapeset
from glorot_jax.network import MLP, init

# %% [markdown]
# ## The data: Shapeset-3x2 (section 2.1, Fig. 1)
# One or two shapes, nine classes. Images are drawn on the device, the same images for the same key.

# %%
batch = shapeset.sample(jax.random.key(0), 300)
fig, axes = plt.subplots(2, 6, figsize=(9, 3.6), layout="constrained")
for axis, image, label in zip(axes.flat, batch.x, batch.y, strict=False):
    axis.imshow(image.reshape(32, 32), cmap="gray", vmin=-1, vmax=1)
    axis.set_title(shapeset.CLASS_NAMES[int(label)].replace(" + ", " +\n"), fontsize=8)
    axis.axis("off")
plt.show()

# %% [markdown]
# ## Two initialisations (eqs. 1 and 16)
# `standard` keeps $n\,\mathrm{Var}[W] = 1/3$ (it is still the default of PyTorch's `nn.Linear`);
# `normalized` has $\mathrm{Var}[W] = 2/(n_{in}+n_{out})$.

# %%
width, depth, seeds = 300, 5, 5


def measure(initializer):
    """Every probe on `seeds` networks at once, under one vmap."""
    model = MLP((width,) * depth, 9, activations.tanh, initializer)

    def one(key):
        params = init(model, key, batch.x.shape[1])
        values = probes.singular_values(model, params, batch.x[:1])
        return (
            probes.activation_statistics(model, params, batch),
            probes.gradient_statistics(model, params, batch),
            values,
        )

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), seeds))


measured = {
    "standard": measure(initializers.standard()),
    "normalized": measure(initializers.normalized()),
}

# %% [markdown]
# ## Signals up, gradients down (Figs. 6, 7 and 8)
# With the standard initialisation activations shrink on the way up and back-propagated gradients
# shrink on the way down; the weight gradients, the product of both, are level. With the
# normalized one all three are level.

# %%
layers = jnp.arange(1, depth + 1)
fig, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
for name, (activation, gradient, _) in measured.items():
    for axis, title, values in zip(
        axes,
        ("activations z", "gradients dC/ds", "weight gradients dC/dw"),
        (activation["std"], gradient["backprop"]["std"], gradient["weight_gradient"]["std"]),
        strict=True,
    ):
        axis.semilogy(layers, values.mean(axis=0), marker="o", label=name)
        axis.set(title=title, xlabel="layer")
axes[0].set_ylabel("standard deviation")
axes[0].legend()
plt.show()

# %% [markdown]
# ## The Jacobian of a layer (eq. 17)
# The mean singular value of $J^i = \partial z^{i+1}/\partial z^i$ says how much of a small change
# survives a layer. For a square matrix of independent entries it is
# $\frac{8}{3\pi}\sqrt{n\,\mathrm{Var}[W]}$, times the units' mean slope.

# %%
for name, variance in (("standard", 1 / (3 * width)), ("normalized", 1 / width)):
    found = float(measured[name][2][:, 1:].mean())
    oracle = theory.quarter_circle_mean(width * variance)
    print(f"{name:>10}: mean singular value {found:.3f}, linear oracle {oracle:.3f}")
