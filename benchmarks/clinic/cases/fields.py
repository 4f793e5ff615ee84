"""Functions of coordinates: sine nets, equations of physics, flows in time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.clinic.data import picture, table
from benchmarks.clinic.kit import Model, Training, healthy, sick, squared_error
from benchmarks.clinic.nets import KEY, dense_stack, equinox, gaussian, run_stack


class _Sines(eqx.Module):
    layers: list

    def __init__(self, key: jax.Array, published: bool, frequency: float = 30.0) -> None:
        sizes = (2, 96, 96, 96, 1)
        keys = jax.random.split(key, 4)
        layers = [
            eqx.nn.Linear(*size, key=k) for *size, k in zip(sizes, sizes[1:], keys, strict=False)
        ]
        if published:
            for i, (layer, k) in enumerate(zip(layers, keys, strict=True)):
                rows = sizes[i]
                limit = 1 / rows if i == 0 else (6 / rows) ** 0.5 / frequency
                drawn = jax.random.uniform(k, layer.weight.shape, minval=-limit, maxval=limit)
                layers[i] = eqx.tree_at(lambda layer: layer.weight, layer, drawn)
        self.layers = layers

    def __call__(self, point: jax.Array) -> jax.Array:
        for layer in self.layers[:-1]:
            point = jnp.sin(30.0 * layer(point))
        return self.layers[-1](point)


def _sines(published: bool) -> Model:
    return equinox(_Sines(KEY, published), *picture(), loss=squared_error)


@sick(
    "sine net at a default start",
    (
        "explod", "sin", "period", "oscillat", "chao", "wrap", "too large", "frequenc",
    ),
    lambda: _sines(True),
    site="layers",
    source="issue thread",
    training=Training(rate=1e-4),
)  # fmt: skip
def sine_net_default_start() -> Model:
    """A net of sin(30 s) with a library's kernels, uniform within 1/sqrt(n): s runs through many
    periods and the gradient grows tenfold a layer. Draw hidden kernels within sqrt(6/n)/30."""
    return _sines(False)


@healthy(source="paper", training=Training(rate=1e-4))
def sine_net_published() -> Model:
    """The same with the published start."""
    return _sines(True)


def _beam(length: float) -> Model:
    """u'' = -sin(pi x / L) (pi / L)^2 on 0 to L with u = 0 at both ends, in units of 1."""
    params = dense_stack([1, 40, 40, 40, 1])

    def u(p, x):
        return run_stack(p, x, jnp.tanh)

    def residuals(p, x):
        def at(t):
            return u(p, t[None])[0]

        curvature = jax.vmap(jax.grad(jax.grad(at)))(x[:, 0]) * (length / jnp.pi) ** 2
        ends = u(p, jnp.asarray([[0.0], [length]]))[:, 0]
        return jnp.stack([curvature, *(jnp.broadcast_to(end, len(x)) for end in ends)], 1)

    x = jnp.linspace(0, length, 96)[:, None]
    y = jnp.concatenate([-jnp.sin(jnp.pi * x / length), jnp.zeros((96, 2))], 1)
    return Model(residuals, params, x, y, squared_error)


@sick(
    "coordinates in large units",
    ("saturat", "input", "domain", "range", "coordinate", "column"),
    lambda: _beam(1.0),
    site="layer_00",
    source="issue thread",
    training=Training(rate=3e-3),
)
def beam_of_500() -> Model:
    """A physics-informed net for a beam of 500 metres, in metres: tanh is saturated nearly all
    along, and the derivatives are those of steps. Give it x/500."""
    return _beam(500.0)


@healthy(source="paper", training=Training(rate=3e-3))
def beam_of_1() -> Model:
    """The same in units of the beam's length."""
    return _beam(1.0)


def _heat(key: int = 4) -> Model:
    """Residuals of u_t = u_xx / 10, of the start sin(pi x) and of u = 0 at both ends."""
    params = dense_stack([2, 32, 32, 1])

    def u(p, point):
        return run_stack(p, point, jnp.tanh)[..., 0]

    def residuals(p, point):
        first = jax.vmap(jax.grad(u, 1), (None, 0))(p, point)
        second = jax.vmap(jax.hessian(u, 1), (None, 0))(p, point)[:, 1, 1]
        x = point[:, 1]
        start = u(p, jnp.stack([0 * x, x], 1)) - jnp.sin(jnp.pi * x)
        ends = [u(p, jnp.stack([point[:, 0], jnp.full_like(x, end)], 1)) for end in (0.0, 1.0)]
        return jnp.stack([first[:, 0] - 0.1 * second, start, *ends], 1)

    point = jax.random.uniform(jax.random.key(key), (128, 2))
    return Model(residuals, params, point, jnp.zeros((128, 4)), squared_error)


@healthy(source="paper", training=Training(rate=3e-3))
def heat_equation() -> Model:
    """Residuals of the heat equation on the unit square, with start and ends, all of scale 1."""
    return _heat()


def _flow() -> Model:
    rng = np.random.default_rng(5)
    label = rng.integers(0, 2, 256)
    radius = np.where(label == 0, 0.5, 1.5) + 0.1 * rng.normal(size=256)
    angle = rng.uniform(0, 6.3, 256)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], 1)
    params = {"field": dense_stack([4, 32, 3]), "head": gaussian(9, 3, 2)}

    def net(p, x):
        def speed(x, t):
            clock = jnp.full((len(x), 1), t)
            return run_stack(p["field"], jnp.concatenate([x, clock], 1), jnp.tanh)

        def turn(x, t):
            k1 = speed(x, t)
            k2 = speed(x + 0.05 * k1, t + 0.05)
            k3 = speed(x + 0.05 * k2, t + 0.05)
            k4 = speed(x + 0.1 * k3, t + 0.1)
            return x + 0.1 / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        x, _ = jax.lax.scan(turn, x, jnp.linspace(0.0, 0.9, 10))
        return x @ p["head"]

    return Model(net, params, jnp.asarray(x, jnp.float32), jnp.asarray(label))


@healthy(source="paper", training=Training(rate=1e-2))
def differential_equation_net() -> Model:
    """A neural ordinary differential equation by ten Runge-Kutta steps in a scan: one kernel used
    forty times."""
    return _flow()


def _fixed_point(gain: float) -> Model:
    x, y = table("digits", 256)
    params = {
        "inward": gaussian(0, 64, 64),
        "w": gaussian(1, 64, 64, gain=gain),
        "head": gaussian(2, 64, 10),
    }

    def net(p, x):
        drive = x @ p["inward"]

        def turn(z, _):
            return jax.nn.relu(z @ p["w"] + drive), None

        z, _ = jax.lax.scan(turn, jnp.zeros_like(drive), length=24)
        return z @ p["head"]

    return Model(net, params, x, y)


@sick(
    "fixed point diverges",
    ("explod", "too large", "grow", "diverg", "overflow", "loss", "cost"),
    lambda: _fixed_point(0.5),
    site="w",
    source="issue thread",
)
def fixed_point_diverges() -> Model:
    """An implicit layer iterated 24 times whose kernel expands: the state grows by 1.8 a turn and
    reaches no fixed point. Draw the kernel so that it contracts."""
    return _fixed_point(2.5)


def _cell(p: dict, x: jax.Array, z: jax.Array) -> jax.Array:
    return jnp.tanh(z @ p["w"] + x @ p["inward"])


def _iterated(f, z: jax.Array) -> jax.Array:
    def far(state):
        z, before, turn = state
        return (turn < 60) & (jnp.max(jnp.abs(z - before)) > 1e-5)

    def turn(state):
        z, _, count = state
        return f(z), z, count + 1

    return jax.lax.while_loop(far, turn, (f(z), z, 0))[0]


@jax.custom_vjp
def _equilibrium(p: dict, x: jax.Array) -> jax.Array:
    return _iterated(lambda z: _cell(p, x, z), jnp.zeros_like(x))


def _equilibrium_forward(p: dict, x: jax.Array) -> tuple:
    z = _equilibrium(p, x)
    return z, (p, x, z)


def _equilibrium_backward(saved: tuple, cotangent: jax.Array) -> tuple:
    p, x, z = saved
    _, pull = jax.vjp(lambda z: _cell(p, x, z), z)
    solved = _iterated(lambda u: cotangent + pull(u)[0], cotangent)
    return jax.vjp(lambda p, x: _cell(p, x, z), p, x)[1](solved)


_equilibrium.defvjp(_equilibrium_forward, _equilibrium_backward)


@healthy(source="paper")
def equilibrium_by_while_loop() -> Model:
    """A deep equilibrium layer: a fixed point by a while loop, its derivative by the implicit
    function theorem. The kernel contracts."""
    x, y = table("digits", 200)
    params = {
        "cell": {"inward": gaussian(0, 64, 64), "w": gaussian(1, 64, 64, gain=0.5)},
        "head": gaussian(2, 64, 10),
    }
    return Model(lambda p, x: _equilibrium(p["cell"], x) @ p["head"], params, x, y)
