"""How much of each parameter's gradient the sites account for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from glorot_jax.diagnosis.arrays import Array, namespace
from glorot_jax.diagnosis.tracing.jaxpr import bind, scan_options, scan_parts
from glorot_jax.diagnosis.tracing.layout import Block, Order, Site

Operands = dict[Order, tuple[Any, Any]]


def operands(block: Block, known: Mapping[Any, Any]) -> Operands:
    """Kernel and bias of each site, computed from parameters alone; absent where that can't be.

    ``known``: the variables of the block whose values are parameters. Both have an axis for every
    scan around the site; a bias is None where there is none, or where it isn't made of parameters.
    """
    jaxpr = block.closed.jaxpr
    env: dict[Any, Any] = dict(zip(jaxpr.constvars, block.closed.consts, strict=True)) | dict(known)

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else env.get(atom)

    found: Operands = {}
    for index, eqn in enumerate(jaxpr.eqns):
        values = [read(atom) for atom in eqn.invars]
        if index in block.inner and eqn.primitive.name == "scan":
            found |= _of_steps(eqn, block.inner[index][0], values)
        elif eqn.invars and all(value is not None for value in values):
            with eqn.ctx.manager:
                env.update(zip(eqn.outvars, bind(eqn, values), strict=True))
    for one in block.exposed.values():
        if (kernel := read(one.kernel)) is not None:
            found[one.site] = kernel, None if one.bias is None else read(one.bias)
    return found


def _of_steps(eqn: core.JaxprEqn, body: Block, values: Sequence[Any]) -> Operands:
    consts, carry, xs = scan_parts(eqn, values)
    inputs = body.closed.jaxpr.invars
    fixed = {v: a for v, a in zip(inputs, consts, strict=False) if a is not None}
    known = zip(inputs[len(consts) + len(carry) :], xs, strict=True)
    stepping = [(variable, array) for variable, array in known if array is not None]

    def one_step(step: tuple[list[jax.Array], jax.Array]) -> Operands:
        now = {v: a for (v, _), a in zip(stepping, step[0], strict=True)}
        return operands(body, {**fixed, **now})

    turns = jnp.arange(scan_options(eqn)["length"])
    made: Operands = jax.lax.map(one_step, ([array for _, array in stepping], turns))
    return made


def alone(block: Block, parameters: int) -> dict[Order, int]:
    """By site: the parameter that is its kernel, where nothing else reads that parameter.

    The gradient of the one is that of the other. ``parameters``: how many inputs of the block are.
    """
    jaxpr = block.closed.jaxpr
    reads = Counter(
        atom
        for atoms in (jaxpr.outvars, *(eqn.invars for eqn in jaxpr.eqns))
        for atom in atoms
        if not isinstance(atom, core.Literal)
    )
    places = {one: index for index, one in enumerate(jaxpr.invars[:parameters]) if reads[one] == 1}
    kernels = {one.site: one.kernel for one in block.exposed.values()}
    return {site: places[kernel] for site, kernel in kernels.items() if kernel in places}


def unaccounted(gradients: Sequence[Array], seen: Sequence[Array]) -> list[Array]:
    """For each float parameter, the part of its gradient that comes by other ways than the sites.

    ``gradients``: of the parameters that are floats; ``seen``: what ``accounted`` returns.
    Returns |g - seen| / |g| each, 0 where g is 0: 0 where kernels and biases account for all, 1
    where a parameter is used in no other way than those that can't be seen.
    """
    return [_share(whole, part) for whole, part in zip(gradients, seen, strict=True)]


def accounted(
    block: Block,
    sites: Sequence[Site],
    leaves: Sequence[jax.Array],
    gradients: Sequence[jax.Array],
    ds: Sequence[jax.Array],
) -> list[jax.Array]:
    """For each float parameter, the gradient that comes to it by the sites' kernels and biases.

    ``leaves``: all parameters, as the block takes them. Of the summed cost C and each site,
    ``gradients``: dC/dW [steps, ..kernel]; ``ds``: dC/ds.
    """
    inputs = block.closed.jaxpr.invars[: len(leaves)]
    floats = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    shaped = {site.order: index for index, site in enumerate(sites)}

    def made(moving: list[jax.Array]) -> list[tuple[Any, Any]]:
        values = dict(zip(inputs, leaves, strict=True))
        values |= {inputs[i]: leaf for i, leaf in zip(floats, moving, strict=True)}
        found = operands(block, values)
        return [found.get(order, (None, None)) for order in shaped]

    values, pull = jax.vjp(made, [leaves[i] for i in floats])
    cotangents = [
        (
            None if kernel is None else gradient.reshape(kernel.shape).astype(kernel.dtype),
            None if bias is None else _summed(by_s, bias, len(site.steps)),
        )
        for site, gradient, by_s, (kernel, bias) in zip(sites, gradients, ds, values, strict=True)
    ]
    (seen,) = pull(cotangents)
    return list(seen)


def _summed(ds: jax.Array, bias: jax.Array, steps: int) -> jax.Array:
    """dC/db of a bias [*steps, ..] that was spread over s."""
    lead = ds.ndim - bias.ndim
    spread = tuple(
        axis
        for axis in range(steps, ds.ndim)
        if axis - lead < steps or bias.shape[axis - lead] != ds.shape[axis]
    )
    return jnp.sum(ds, axis=spread).reshape(bias.shape).astype(bias.dtype)


def _share(whole: Array, part: Array) -> Array:
    xp = namespace(whole)
    size = xp.linalg.norm(whole.reshape(-1))
    missing = xp.linalg.norm((whole - part.astype(whole.dtype)).reshape(-1))
    return xp.where(size > 0, missing / xp.where(size > 0, size, 1), 0.0).astype(np.float32)
