"""Models that few people write, with the sites that a reader of them would name."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.diagnosis.models import CLASSES, INPUTS, Model, N, examples

WIDTH, EXPERTS = 4, 3
_rng = np.random.default_rng(2)


def _normal(*shape):
    return jnp.asarray(_rng.normal(0, 0.6, shape).astype(np.float32))


def _sites(**kinds):
    return {"first": "dense", "last": "dense", **kinds}


def _between(middle, params, sites, unreached=()):
    """A model that does ``middle(params, h)`` between two layers."""

    def apply(params, x):
        h = jnp.tanh(x @ params["first"])
        return middle(params, h) @ params["last"]

    ends = {"first": _normal(INPUTS, WIDTH), "last": _normal(WIDTH, CLASSES)}
    return Model(apply, {**ends, **params}, examples(), _sites(**sites), unreached)


def _chosen(h):
    return jnp.argmax(h[:, :EXPERTS], axis=1)


def gathered_experts():
    """Each example has the kernel and the bias of its expert."""

    def middle(params, h):
        w, b = params["w"][_chosen(h)], params["b"][_chosen(h)]
        return jax.nn.relu(jnp.einsum("ni,nij->nj", h, w) + b)

    params = {"w": _normal(EXPERTS, WIDTH, WIDTH), "b": _normal(EXPERTS, WIDTH)}
    return _between(middle, params, {"w": "dense"})


def vmapped_gathered_experts():
    def middle(params, h):
        def one(h, chosen):
            return jnp.tanh(h @ params["w"][chosen])

        return jax.vmap(one)(h, _chosen(h))

    return _between(middle, {"w": _normal(EXPERTS, WIDTH, WIDTH)}, {"w": "dense"})


def matrix_factorisation():
    """Products of what is looked up in two tables: embeddings, however they are multiplied."""

    def apply(params, x):
        h = jnp.einsum("nd,ncd->nc", params["users"][x[:, 0]], params["items"][x[:, 1:]])
        return h @ params["last"]

    params = {"users": _normal(5, WIDTH), "items": _normal(7, WIDTH), "last": _normal(2, CLASSES)}
    x = jnp.asarray(np.random.default_rng(0).integers(5, size=(N, 3), dtype=np.int32))
    sites = {"users": "embedding", "items": "embedding", "last": "dense"}
    return Model(apply, params, x, sites)


def ragged():
    """Examples in groups, each with a kernel of its own."""

    def middle(params, h):
        sizes = jnp.asarray([1, 3, 2], jnp.int32)
        return jnp.tanh(jax.lax.ragged_dot(h, params["w"], sizes))

    return _between(middle, {"w": _normal(EXPERTS, WIDTH, WIDTH)}, {"w": "dense"})


def shard_mapped():
    """Over a mesh of one device, with a sum over it."""
    device = np.array(jax.devices()[:1])
    mesh = jax.sharding.Mesh(device, ("data",))
    spec = jax.sharding.PartitionSpec

    def body(w, h):
        return jnp.tanh(h @ w) - 0.1 * jax.lax.psum(jnp.mean(h), "data")

    mapped = jax.shard_map(body, mesh=mesh, in_specs=(spec(), spec("data")), out_specs=spec("data"))
    return _between(lambda p, h: mapped(p["w"], h), {"w": _normal(WIDTH, WIDTH)}, {"w": "dense"})


def shard_mapped_over_two():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))
    spec = jax.sharding.PartitionSpec
    specs = {"in_specs": (spec(), spec("data")), "out_specs": spec("data")}
    mapped = jax.shard_map(lambda w, h: jnp.tanh(h @ w), mesh=mesh, **specs)
    return _between(lambda p, h: mapped(p["w"], h), {"w": _normal(WIDTH, WIDTH)}, {}, ("w",))


@jax.custom_vjp
def _fixed_point(w, h):
    """z = tanh(z W / 3 + h), by iterating until nothing moves."""

    def unsettled(state):
        return jnp.max(jnp.abs(state[0] - state[1])) > 1e-4

    def again(state):
        return jnp.tanh(state[0] @ w / 3 + h), state[0]

    return jax.lax.while_loop(unsettled, again, (jnp.tanh(h), jnp.zeros_like(h) + 9))[0]


_fixed_point.defvjp(
    lambda w, h: (_fixed_point(w, h), (w, h)), lambda kept, d: (0.1 * kept[0], d + 0 * kept[1])
)


def equilibrium():
    """A custom_vjp around a while."""
    w = {"w": _normal(WIDTH, WIDTH)}
    return _between(lambda p, h: _fixed_point(p["w"], h), w, {"w": "dense"}, ("w",))


def complex_kernel():
    """Complex in the middle; sites are real and complex."""

    def middle(params, h):
        s = h.astype(jnp.complex64) @ params["w"] + params["b"][None]
        return jnp.real(s) + jnp.imag(s)

    w = jax.lax.complex(_normal(WIDTH, WIDTH), _normal(WIDTH, WIDTH))
    b = jax.lax.complex(_normal(WIDTH), _normal(WIDTH))
    return _between(middle, {"w": w, "b": b}, {"w": "dense"})


def with_a_key():
    """Random features: what a key among the parameters draws is no parameter."""

    def middle(params, h):
        drawn = jax.random.normal(params["key"], (WIDTH, WIDTH), jnp.float32)
        return jnp.tanh(h @ drawn) @ params["w"]

    params = {"key": jax.random.key(3), "w": _normal(WIDTH, WIDTH)}
    return _between(middle, params, {"w": "dense"})


def with_places_left_empty():
    """None where something isn't an array, as Equinox' partition leaves it, and a count."""

    def middle(params, h):
        for w in ("1", "3"):
            h = jnp.tanh(h @ params[w]) * (1 + params["2"]).astype(h.dtype)
        return h

    params = {"0": None, "1": _normal(WIDTH, WIDTH), "2": jnp.int32(1), "3": _normal(WIDTH, WIDTH)}
    return _between(middle, params, {"1": "dense", "3": "dense"})


MORE = {
    make.__name__: make
    for make in (
        gathered_experts,
        vmapped_gathered_experts,
        matrix_factorisation,
        ragged,
        shard_mapped,
        shard_mapped_over_two,
        equilibrium,
        complex_kernel,
        with_a_key,
        with_places_left_empty,
    )
}
