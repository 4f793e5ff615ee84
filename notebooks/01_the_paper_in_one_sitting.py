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
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/glorot-jax/glorot_jax/blob/main/notebooks/01_the_paper_in_one_sitting.ipynb)
#
# All of it takes about half a minute on two CPU cores. On Colab choose a
# GPU or TPU under Runtime, Change runtime type, and it goes faster: nothing else has to change.

# %%
import sys

if "google.colab" in sys.modules:  # elsewhere it is installed already
    import subprocess

    source = "glorot_jax @ git+https://github.com/glorot-jax/glorot_jax"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from IPython.display import display

from glorot_jax import activations, initializers, probes, theory
from glorot_jax.data import shapeset
from glorot_jax.network import MLP, init


def show(figure, alt):
    """Shows a figure with words for those who can't see it."""
    plt.close(figure)
    display(figure, metadata={"image/png": {"alt": alt}})


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
show(
    fig,
    "Twelve grey images of triangles, parallelograms and ellipses, each with its class above it.",
)

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
show(
    fig,
    "Standard deviation against layer. Standard: activations fall from layer 1 to 5, gradients "
    "from 5 to 1, weight gradients are level. Normalized: all three are nearly level.",
)

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
