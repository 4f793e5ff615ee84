"""From a model of any library to a case's ``Model``; and a few layers written out."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.clinic.kit import Model

KEY = jax.random.key(1)


def linen(module: nn.Module, x: Any, y: Any, *, key: jax.Array = KEY, **rest: Any) -> Model:
    """A Linen module without collections other than params."""
    params = jax.jit(module.init)(key, jax.tree.map(lambda a: a[:2], x))
    return Model(module.apply, params, x, y, **rest)


def linen_batch_norm(module: nn.Module, x: Any, y: Any, **rest: Any) -> Model:
    """A Linen module whose batch norms use the statistics of the batch."""
    variables = jax.jit(module.init)(KEY, x[:2])
    state = {name: value for name, value in variables.items() if name != "params"}

    def apply(params: Any, x: Any) -> Any:
        return module.apply({"params": params, **state}, x, mutable=list(state))[0]

    return Model(apply, variables["params"], x, y, **rest)


def haiku(function: Callable[[Any], Any], x: Any, y: Any, **rest: Any) -> Model:
    """A Haiku function of x alone."""
    net = hk.without_apply_rng(hk.transform(function))
    params = jax.jit(net.init)(KEY, jax.tree.map(lambda a: a[:2], x))
    return Model(net.apply, params, x, y, **rest)


def equinox(module: eqx.Module, x: Any, y: Any, **rest: Any) -> Model:
    """An Equinox module of one example; its arrays of numbers are the parameters."""
    params, static = eqx.partition(module, eqx.is_inexact_array)
    return Model(lambda p, x: jax.vmap(eqx.combine(p, static))(x), params, x, y, **rest)


def flax_nnx(module: nnx.Module, x: Any, y: Any, **rest: Any) -> Model:
    """An NNX module with parameters only."""
    graph, params = nnx.split(module)
    return Model(lambda p, x: nnx.merge(graph, p)(x), params, x, y, **rest)


def gaussian(i: int, *shape: int, gain: float = 1.0) -> jax.Array:
    """A kernel ``[..., rows, columns]`` with rows Var[W] = gain^2, the i-th of a model."""
    return gain / shape[-2] ** 0.5 * jax.random.normal(jax.random.fold_in(KEY, i), shape)


def dense_stack(sizes: Sequence[int], gain: float = 1.0, biases: bool = True) -> dict[str, Any]:
    """Parameters ``{"layer_00": {"w", "b"}, ...}`` of dense layers one after the other."""
    params: dict[str, Any] = {}
    for i, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        params[f"layer_{i:02d}"] = {"w": gaussian(i, rows, columns, gain=gain)}
        if biases:
            params[f"layer_{i:02d}"]["b"] = jnp.zeros(columns)
    return params


def run_stack(params: Any, x: jax.Array, activation: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """The layers of ``dense_stack``, the activation after all but the last."""
    names = sorted(params)
    for name in names:
        x = x @ params[name]["w"] + params[name].get("b", 0.0)
        x = activation(x) if name != names[-1] else x
    return x


def attend(q: jax.Array, k: jax.Array, v: jax.Array, mask: Any = None) -> jax.Array:
    """Attention ``[n, steps, heads, d]`` with scores over sqrt(d); ``mask`` True where seen."""
    scores = jnp.einsum("nthd,nshd->nhts", q, k) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    return jnp.einsum("nhts,nshd->nthd", jax.nn.softmax(scores), v)
