"""Generators, autoencoders, densities, and nets that write the kernels of others."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.clinic.data import raw_table, table
from benchmarks.clinic.kit import Model, Training, healthy, sick, squared_error
from benchmarks.clinic.nets import KEY, dense_stack, equinox, gaussian, run_stack

NAN = ("nan", "not finite", "inf ", "infinit", "overflow")
LEAKY = jax.nn.leaky_relu


def _generator(saturating: bool) -> Model:
    """A generator against a frozen critic that is sure of its case."""
    noise = jax.random.normal(jax.random.key(6), (256, 8))
    params = {"generator": dense_stack([8, 48, 48, 16], 2**0.5)}
    judge = gaussian(50, 16, 24, gain=2**0.5)
    verdict = gaussian(51, 24, 1)

    def net(p, noise):
        made = run_stack(p["generator"], noise, jax.nn.relu)
        return 4 * LEAKY(made @ judge) @ verdict - 40.0

    def loss(logit, _):
        if saturating:
            return jnp.log1p(-jax.nn.sigmoid(logit[:, 0]))
        return jax.nn.softplus(-logit[:, 0])

    return Model(net, params, noise, jnp.zeros(256), loss)


@sick(
    "critic saturated",
    ("vanish", "saturat", "sigmoid", "no gradient", "gradient of", "too small"),
    lambda: _generator(False),
    source="paper",
    training=Training(measure=lambda logit, y: jax.nn.softplus(-logit).mean(), rate=1e-2),
)
def generator_against_a_sure_critic() -> Model:
    """A generator that lowers log(1 - D) while the critic's logit stands near -40: the sigmoid is
    flat there, and the generator's gradient rounds to 0. Raise log D instead."""
    return _generator(True)


@healthy(
    source="paper",
    training=Training(measure=lambda out, y: (out * jnp.sign(y)[:, None]).mean(), goal=-0.05),
)
def critic_of_distances() -> Model:
    """A critic for the Wasserstein distance: leaky relus, an unbounded output, costs below 0."""
    rng = np.random.default_rng(21)
    real = rng.normal(size=(128, 16)) * 0.5 + 1
    fake = rng.normal(size=(128, 16))
    x = jnp.asarray(np.concatenate([real, fake]), jnp.float32)
    y = jnp.concatenate([-jnp.ones(128), jnp.ones(128)])
    params = dense_stack([16, 48, 48, 1], 2**0.5)

    def net(p, x):
        return run_stack(p, x, LEAKY)

    return Model(net, params, x, y, lambda out, y: out[:, 0] * y + 1e-3 * out[:, 0] ** 2)


def _variational(x: jax.Array, target: jax.Array) -> Model:
    params = {"encoder": dense_stack([64, 64, 16], 2**0.5), "decoder": dense_stack([8, 64, 64])}
    noise = jax.random.normal(jax.random.key(7), (8,))

    def net(p, x):
        mean, log_variance = jnp.split(run_stack(p["encoder"], x, jax.nn.relu), 2, -1)
        z = mean + jnp.exp(0.5 * log_variance) * noise
        return {
            "log_variance": log_variance,
            "mean": mean,
            "output": run_stack(p["decoder"], z, jax.nn.relu),
        }

    def loss(out, x):
        spread = jnp.exp(out["log_variance"])
        distance = 0.5 * (spread + out["mean"] ** 2 - 1 - out["log_variance"]).sum(-1)
        return squared_error(out["output"], x) + distance

    return Model(net, params, x, target, loss)


def _standardised_variational() -> Model:
    x, _ = table("digits", 256)
    return _variational(0.3 * x, x)


@sick(
    "log variance explodes",
    (*NAN, "exp", "too large", "explod", "input", "pixel", "variance", "loss", "cost"),
    _standardised_variational,
    site="encoder",
    source="issue thread",
)
def variational_log_variance_explodes() -> Model:
    """Raw pixels make log variances of several hundred, whose exponential is inf: cost and
    gradient are not finite. Scale the pixels, bound the log variance."""
    x, _ = raw_table("digits", 256)
    return _variational(x * (255 / 16), x / 16)


@healthy(source="paper", training=Training(rate=3e-3))
def variational_autoencoder() -> Model:
    """A variational autoencoder: three outputs and a loss of two terms."""
    return _standardised_variational()


@healthy(source="textbook", training=Training(rate=3e-3))
def autoencoder_bottleneck() -> Model:
    """Tanh layers of 64, 32, 4, 32 and 64 units that give their input back."""
    x, _ = table("digits", 256)
    params = dense_stack([64, 32, 4, 32, 64])
    return Model(lambda p, x: run_stack(p, x, jnp.tanh), params, x, x, squared_error)


@healthy(source="paper", training=Training(rate=3e-3, goal=0.5))
def coupling_flow_zero_last() -> Model:
    """Affine couplings whose nets end in zeros: the flow starts as the identity."""
    rng = np.random.default_rng(23)
    a = rng.normal(size=(256, 2))
    x = np.concatenate([a, 0.3 * rng.normal(size=(256, 2)) + np.sin(2 * a)], 1)
    params = {}
    for i in range(4):
        stack = dense_stack([2, 32, 32, 4], 2**0.5)
        stack["layer_02"]["w"] = jnp.zeros((32, 4))
        params[f"coupling_{i}"] = stack

    def net(p, x):
        volume = 0.0
        for i in range(4):
            still, moved = jnp.split(x, 2, -1) if i % 2 else jnp.split(x, 2, -1)[::-1]
            scale, shift = jnp.split(run_stack(p[f"coupling_{i}"], still, jax.nn.relu), 2, -1)
            scale = jnp.tanh(scale)
            moved = moved * jnp.exp(scale) + shift
            volume = volume + scale.sum(-1)
            x = jnp.concatenate([still, moved] if i % 2 else [moved, still], -1)
        return 0.5 * jnp.square(x).sum(-1) - volume

    costs = lambda out, _: out  # noqa: E731
    return Model(net, params, jnp.asarray(x, jnp.float32), jnp.zeros(256), costs)


@healthy(source="paper", training=Training(rate=3e-3))
def masked_autoregressive_bits() -> Model:
    """An autoregressive density of bits: kernels behind masks, so that half their entries never
    get a gradient, on purpose."""
    x, _ = raw_table("digits", 256)
    bits = (x[:, 8:40] > 8).astype(jnp.float32)
    place = jnp.arange(32)
    hidden = jnp.arange(96) % 31
    masks = (place[:, None] <= hidden, hidden[:, None] <= hidden, hidden[:, None] < place)
    params = dense_stack([32, 96, 96, 32], 2**0.5)

    def net(p, x):
        for i, mask in enumerate(masks):
            layer = p[f"layer_{i:02d}"]
            x = x @ (layer["w"] * mask) + layer["b"]
            x = jax.nn.relu(x) if i < 2 else x
        return x

    def loss(logits, bits):
        cost = jnp.maximum(logits, 0) - logits * bits + jnp.log1p(jnp.exp(-jnp.abs(logits)))
        return cost.sum(-1)

    return Model(net, params, bits, bits, loss)


class _Written(eqx.Module):
    """A net whose kernels another net writes from a task's code."""

    writer: eqx.nn.MLP
    by_fan_in: bool = eqx.field(static=True)

    def __call__(self, x: dict) -> jax.Array:
        numbers = self.writer(x["task"])
        first, second, last = jnp.split(numbers, (6 * 24, 6 * 24 + 24 * 24))
        h = jax.nn.relu(x["point"] @ first.reshape(6, 24) * self._gain(6))
        h = jax.nn.relu(h @ second.reshape(24, 24) * self._gain(24))
        return h @ last.reshape(24, 1) * self._gain(24)

    def _gain(self, rows: int) -> float:
        return (2 / rows) ** 0.5 if self.by_fan_in else 1.0


def _written(by_fan_in: bool) -> Model:
    rng = np.random.default_rng(25)
    task = rng.integers(0, 4, 300)
    point = rng.normal(size=(300, 6))
    direction = rng.normal(size=(4, 6)) / 6**0.5
    y = np.tanh(2 * (point * direction[task]).sum(1))
    x = {
        "point": jnp.asarray(point, jnp.float32),
        "task": jnp.asarray(np.eye(4)[task], jnp.float32),
    }
    writer = eqx.nn.MLP(4, 6 * 24 + 24 * 24 + 24, 48, 1, key=KEY)
    last = writer.layers[-1]
    drawn = 0.5 * jax.random.normal(KEY, last.weight.shape)  # writes entries of std 1
    writer = eqx.tree_at(lambda m: m.layers[-1].weight, writer, drawn)
    target = jnp.asarray(y[:, None], jnp.float32)
    return equinox(_Written(writer, by_fan_in), x, target, loss=squared_error)


@sick(
    "written kernels too large",
    ("explod", "too large", "loss", "cost", "grow", "scale"),
    lambda: _written(True),
    site="writer",
    source="issue thread",
)
def hypernet_writes_large_kernels() -> Model:
    """A net that writes another one's kernels with entries of std 1 where 0.3 is right: the
    outputs start near thirty. Scale what it writes by the fan-in of the kernel written."""
    return _written(False)


@healthy(source="paper", training=Training(rate=1e-3))
def hypernet_by_fan_in() -> Model:
    """The same, each written kernel divided by the square root of its fan-in."""
    return _written(True)
