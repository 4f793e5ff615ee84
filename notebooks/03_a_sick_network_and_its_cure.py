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
# # A sick network and its cure
#
# Thirty layers of tanh units, initialised as PyTorch's `nn.Linear` and the paper's "standard" do.
# It does not learn. `diagnose` says why, and by how much to multiply which kernel.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/glorot-jax/glorot_jax/blob/main/notebooks/03_a_sick_network_and_its_cure.ipynb)
#
# All of it takes about three minutes on two CPU cores, no cell more than one. On Colab choose a
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
import optax
from IPython.display import display

import glorot_jax as gj
from glorot_jax.data import shapeset
from glorot_jax.diagnosis.reporting import writers
from glorot_jax.losses import cross_entropy


def show(figure, alt):
    """Shows a figure with words for those who can't see it."""
    plt.close(figure)
    display(figure, metadata={"image/png": {"alt": alt}})


WIDTH, DEPTH, CLASSES = 200, 30, 9
x, y = shapeset.sample(jax.random.key(0), 300)

# %% [markdown]
# ## The patient: any function `(params, x) -> logits`


# %%
def init(key):
    sizes = [x.shape[1], *[WIDTH] * DEPTH, CLASSES]
    keys = jax.random.split(key, DEPTH + 1)
    return {
        f"layer_{i:02d}": {
            "kernel": jax.random.uniform(k, (n, m), minval=-(n**-0.5), maxval=n**-0.5),
            "bias": jnp.zeros(m),
        }
        for i, (k, n, m) in enumerate(zip(keys, sizes[:-1], sizes[1:], strict=True))
    }


def apply(params, x):
    *hidden, top = params.values()
    for layer in hidden:
        x = jnp.tanh(x @ layer["kernel"] + layer["bias"])
    return x @ top["kernel"] + top["bias"]


params = init(jax.random.key(1))
report = gj.diagnose(apply, params, x, y)
print(report)

# %% [markdown]
# Every layer multiplies the signal, and the gradient on its way down, by 0.58: after ten layers a
# 256th is left. Dashed: what mean-field theory expects.

# %%
show(
    report.plot(),
    "Profiles over 31 layers: the signal falls from layer to layer, the gradient towards the "
    "input, both beside the dashed line of theory.",
)

# %% [markdown]
# ## The cure
#
# `calibrate` scales each kernel as the finding asks for, so that n Var[W] E[f'(s)^2] = 1.

# %%
cured = gj.calibrate(apply, params, x, y, mode="critical", report=True)
print([round(factor, 2) for factor in cured.factors.values()])
print(cured.reports[1])

# %% [markdown]
# ## Does it learn now?
#
# 3000 updates of 10 examples each; 83% is chance. LSUV (`mode="forward"`), which makes std(s) = 1
# in every layer, is shown beside it: so large a signal makes deep tanh layers chaotic, two examples
# that are almost the same end up far apart, and only a small learning rate will do.

# %%
train_x, train_y = shapeset.sample(jax.random.key(2), 30_000)
test_x, test_y = shapeset.sample(jax.random.key(3), 5_000)


@jax.jit
def train(params, learning_rate):
    optimizer = optax.sgd(learning_rate)

    def update(state, batch):
        def cost(params):
            return jnp.mean(cross_entropy(apply(params, batch[0]), batch[1]))

        params, inner = state
        updates, inner = optimizer.update(jax.grad(cost)(params), inner)
        return (optax.apply_updates(params, updates), inner), None

    batches = (train_x.reshape(-1, 10, x.shape[1]), train_y.reshape(-1, 10))
    (params, _), _ = jax.lax.scan(update, (params, optimizer.init(params)), batches)
    return 100 * jnp.mean(jnp.argmax(apply(params, test_x), axis=1) != test_y)


lsuv = gj.calibrate(apply, params, x, y, mode="forward")
starts = {"standard": params, "critical": cured.params, "LSUV": lsuv.params}
print("test error in % at learning rates 0.01, 0.03, 0.1")
for name, start in starts.items():
    errors = [float(train(start, rate)) for rate in (0.01, 0.03, 0.1)]
    print(f"{name:10}", "  ".join(f"{error:.1f}" for error in errors))

# %% [markdown]
# ## Watching it while it trains
#
# `monitor` measures the same statistics inside your own jitted update, here every 500 updates.


# %%
@jax.jit
def watched(params):
    def update(params, batch):
        step, batch_x, batch_y = batch
        seen = gj.monitor(apply, params, x, y, when=step % 500 == 0)
        cost = lambda params: jnp.mean(cross_entropy(apply(params, batch_x), batch_y))  # noqa: E731
        return jax.tree.map(lambda p, d: p - 0.01 * d, params, jax.grad(cost)(params)), seen

    steps = jnp.arange(len(train_x) // 10)
    batches = (steps, train_x.reshape(-1, 10, x.shape[1]), train_y.reshape(-1, 10))
    return jax.lax.scan(update, params, batches)


_, seen = watched(cured.params)
updates = range(len(train_x) // 10)
history = writers.to_dataset(writers.records(updates, seen))
fig, axis = plt.subplots(layout="constrained")
history.ds_std.isel(site=[0, 14, 29]).plot.line(x="update", yscale="log", ax=axis)
show(fig, "Gradients of three layers against updates, on a logarithmic axis.")
