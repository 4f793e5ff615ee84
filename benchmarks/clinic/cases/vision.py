"""Image models as published, and two from reinforcement learning. All healthy."""

import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.clinic.data import images
from benchmarks.clinic.kit import Model, Training, cross_entropy, healthy
from benchmarks.clinic.nets import haiku, linen, linen_batch_norm

HE = nn.initializers.he_normal()
ZEROS = nn.initializers.zeros
FAST = Training(rate=3e-3, steps=120)


class _BatchNormalised(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in (12, 24):
            h = nn.Conv(width, (3, 3), use_bias=False)(x)
            x = nn.relu(nn.BatchNorm(use_running_average=False)(h))
        return nn.Dense(10, name="head")(x.mean((1, 2)))


@healthy(source="paper", training=FAST)
def convolutions_batch_norm() -> Model:
    """Convolutions with batch norms that use the batch's own statistics."""
    return linen_batch_norm(_BatchNormalised(), *images(192))


class _ResNet(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def norm(**rest):
            return nn.BatchNorm(use_running_average=False, **rest)

        x = nn.relu(norm()(nn.Conv(12, (3, 3), use_bias=False, kernel_init=HE, name="stem")(x)))
        for i in range(2):
            h = nn.Conv(12, (3, 3), use_bias=False, kernel_init=HE, name=f"a_{i}")(x)
            h = nn.Conv(12, (3, 3), use_bias=False, kernel_init=HE, name=f"b_{i}")(
                nn.relu(norm()(h))
            )
            x = nn.relu(x + norm(scale_init=ZEROS)(h))
        return nn.Dense(10, name="head")(x.mean((1, 2)))


@healthy(source="paper", training=FAST)
def residual_net_last_scale_0() -> Model:
    """A residual net as published: the last norm of each branch has a scale of 0."""
    return linen_batch_norm(_ResNet(), *images(128))


class _Mixer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4)
        x = nn.Dense(32, name="embed")(x)
        for i in range(2):
            h = nn.LayerNorm()(x).swapaxes(1, 2)
            h = nn.Dense(16, name=f"tokens_{i}")(nn.gelu(nn.Dense(32, name=f"across_{i}")(h)))
            x = x + h.swapaxes(1, 2)
            h = nn.gelu(nn.Dense(64, name=f"up_{i}")(nn.LayerNorm()(x)))
            x = x + nn.Dense(32, name=f"down_{i}")(h)
        return nn.Dense(10, kernel_init=ZEROS, name="head")(nn.LayerNorm()(x).mean(1))


@healthy(source="paper", training=FAST)
def mixer_zero_head() -> Model:
    """An MLP mixer with a head of 0, as published."""
    return linen(_Mixer(), *images(192))


class _UNet(nn.Module):
    zero: bool = True
    levels: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def block(x, width, name):
            h = nn.Conv(width, (3, 3), kernel_init=HE, name=name)(x)
            return nn.silu(nn.GroupNorm(4, name=f"norm_{name}")(h))

        a = block(x, 8, "down_0")
        b = block(nn.avg_pool(a, (2, 2), (2, 2)), 16, "down_1")
        c = block(b, 16, "middle")
        up = jnp.repeat(jnp.repeat(c, 2, 1), 2, 2)
        h = block(jnp.concatenate([up, a], -1), 8, "up_0")
        last = ZEROS if self.zero else nn.initializers.lecun_normal()
        return nn.Conv(1, (3, 3), kernel_init=last, name="out")(h)


def _mean_square(out: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.square(out - y).mean((1, 2, 3))


@healthy(source="paper", training=FAST)
def denoiser_zero_output() -> Model:
    """A small U-shaped denoiser whose last convolution starts at 0, as diffusion models do."""
    x, _ = images(128)
    noise = jax.random.normal(jax.random.key(8), x.shape)
    return linen(_UNet(), 0.7 * x + 0.7 * noise, noise, loss=_mean_square)


@healthy(source="paper", training=FAST)
def segmentation_u_net() -> Model:
    """The same shape for segmentation: which pixels belong to the stroke."""
    x, _ = images(128)

    def loss(out, y):
        cost = jnp.maximum(out, 0) - out * y + jnp.log1p(jnp.exp(-jnp.abs(out)))
        return cost.mean((1, 2, 3))

    blurred = nn.avg_pool(x, (3, 3), (1, 1), "SAME")
    return linen(_UNet(zero=False), blurred, (x > 0.5).astype(jnp.float32), loss=loss)


@healthy(source="paper", training=Training(rate=1e-3, steps=200))
def values_of_actions() -> Model:
    """A net of action values on stacked frames over 255, its loss on the chosen action alone, so
    that three of four outputs have no gradient in each example."""
    frames, digit = images(192, raw=True)
    rng = np.random.default_rng(4)
    action = rng.integers(0, 4, 192)
    reward = np.cos(np.asarray(digit) + action).astype(np.float32)
    x = jnp.concatenate([frames, frames[:, ::-1]], -1)
    y = {"action": jnp.asarray(action), "target": jnp.asarray(reward)}

    def net(x):
        x = x / 255
        for width, stride in ((16, 1), (16, 2)):
            init = hk.initializers.VarianceScaling(2.0)
            x = jax.nn.relu(hk.Conv2D(width, 3, stride, w_init=init)(x))
        x = jax.nn.relu(hk.Linear(64)(x.reshape(len(x), -1)))
        return hk.Linear(4, name="values")(x)

    def loss(values, y):
        chosen = jnp.take_along_axis(values, y["action"][:, None], 1)[:, 0]
        miss = jnp.abs(chosen - y["target"])
        return jnp.where(miss < 1, 0.5 * miss**2, miss - 0.5)

    return haiku(net, x, y, loss=loss)


def _orthogonal_tower(x: jax.Array, name: str, outputs: int, scale: float) -> jax.Array:
    for i in range(2):
        init = hk.initializers.Orthogonal(2**0.5)
        x = jnp.tanh(hk.Linear(64, w_init=init, name=f"{name}_{i}")(x))
    return hk.Linear(outputs, w_init=hk.initializers.Orthogonal(scale), name=name)(x)


def _states(actions: int) -> tuple[jax.Array, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(14)
    x = rng.normal(size=(300, 17))
    value = np.tanh(x[:, 0] + x[:, 1] ** 2)
    return jnp.asarray(x, jnp.float32), x @ rng.normal(size=(17, actions)), value


@healthy(source="paper", training=Training(rate=3e-3))
def actor_and_critic() -> Model:
    """Two towers of orthogonal kernels; the policy's last one is scaled to 0.01, so that all
    actions start alike likely."""
    x, score, value = _states(6)
    y = jnp.asarray(np.stack([score.argmax(1), value], 1), jnp.float32)

    def net(x):
        ends = _orthogonal_tower(x, "policy", 6, 0.01), _orthogonal_tower(x, "value", 1, 1.0)
        return jnp.concatenate(ends, -1)

    def loss(out, y):
        policy = cross_entropy(out[:, :6], y[:, 0].astype(jnp.int32))
        return policy + 0.5 * jnp.square(out[:, 6] - y[:, 1])

    return haiku(net, x, y, loss=loss)


@healthy(source="paper", training=Training(rate=3e-3))
def actor_of_continuous_actions() -> Model:
    """A policy of Gaussian actions whose log std is a parameter of its own that sees no input, and
    a critic: three outputs."""
    x, score, value = _states(3)
    y = {
        "action": jnp.asarray(np.tanh(score), jnp.float32),
        "value": jnp.asarray(value, jnp.float32),
    }

    def net(x):
        log_std = hk.get_parameter("log_std", (3,), init=jnp.zeros)
        return {
            "log_std": jnp.broadcast_to(log_std, (len(x), 3)),
            "mean": _orthogonal_tower(x, "policy", 3, 0.01),
            "value": _orthogonal_tower(x, "value", 1, 1.0)[:, 0],
        }

    def loss(out, y):
        miss = (y["action"] - out["mean"]) * jnp.exp(-out["log_std"])
        policy = (0.5 * miss**2 + out["log_std"]).sum(-1)
        return policy + 0.5 * jnp.square(out["value"] - y["value"])

    return haiku(net, x, y, loss=loss)
