"""A planned model, run with each of its sites exposed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from glorot_jax.diagnosis.tracing.jaxpr import (
    Read,
    bind,
    evaluate,
    scan_options,
    scan_parts,
    shard_map_options,
    while_functions,
    while_parts,
)
from glorot_jax.diagnosis.tracing.landmarks import softmax_statistics
from glorot_jax.diagnosis.tracing.layout import Block, Order, Seen
from glorot_jax.diagnosis.tracing.meshes import filled

_Key = tuple[Any, ...]
_Ran = tuple[Sequence[Any], dict[_Key, Any]]
# (site, what it sees, its perturbation) to the s that goes on, and what is kept of it.
Look = Callable[[Order, Seen, Any], tuple[jax.Array, Any]]


def as_it_is(site: Order, values: Seen, perturbation: jax.Array) -> tuple[jax.Array, Seen]:
    """All values of a site, its perturbation added to s."""
    s = values.s + perturbation
    return s, values._replace(s=s)


def run_block(
    block: Block, args: Sequence[Any], perturbations: Mapping[_Key, Any], look: Look = as_it_is
) -> _Ran:
    """Outputs of ``block``, and what its sites saw; ``perturbations[site]`` is added to its s.

    ``look`` says what is kept of a site. Where that isn't all of it, the steps of a scan are
    computed again on the way back: what they hold is never there for all of them at once.
    """
    seen: dict[_Key, Any] = {}

    def special(index: int, eqn: core.JaxprEqn, read: Read) -> Sequence[Any] | None:
        values = [read(atom) for atom in eqn.invars]
        if blocks := block.inner.get(index):
            keys = frozenset().union(*(inner.perturbed for inner in blocks))
            theirs = {key: one for key, one in perturbations.items() if key in keys}
            outs, within = _RUNS[eqn.primitive.name](eqn, blocks, values, theirs, look)
            seen.update(within)
            return outs
        if one := block.exposed.get(index):
            bias = None if one.bias is None else read(one.bias)
            others = tuple(read(other) for other in one.others)
            whole = Seen(read(one.z), bind(eqn, values)[0], read(one.kernel), bias, others)
            s, seen[one.site] = look(one.site, whole, perturbations[one.site])
            return [s]
        if index in block.stations and block.stations[index] in perturbations:
            key = block.stations[index]
            first, *rest = bind(eqn, values)
            seen[key] = first + perturbations[key]
            return [seen[key], *rest]
        if index in block.softmaxes:
            key, softmax = block.softmaxes[index]
            outs = bind(eqn, values)
            seen[key] = softmax_statistics(read(softmax.logits), outs[0], softmax.axis)
            return outs
        return None

    return evaluate(block.closed, args, special), seen


def _run_scan(
    eqn: core.JaxprEqn,
    blocks: Sequence[Block],
    values: Sequence[Any],
    perturbations: Mapping[_Key, Any],
    look: Look,
) -> _Ran:
    """The scan again: perturbations among its inputs, what the sites saw among its outputs.

    A kernel that is the same at each step is carried out of it, so that there is one copy.
    """
    (block,) = blocks
    consts, init, xs = scan_parts(eqn, values)

    def body(carry: Any, step: Any) -> Any:
        outs, seen = run_block(block, [*consts, *carry[0], *step[0]], step[1], look)
        shared = _kernels(block, seen)
        stacked = {
            key: values._replace(kernel=None) if key in shared else values
            for key, values in seen.items()
        }
        return (outs[: len(init)], shared), (outs[len(init) :], stacked)

    def kernels_of_first_step() -> dict[Order, jax.Array]:
        x, first = jax.tree.map(lambda steps: steps[0], (xs, dict(perturbations)))
        return _kernels(block, run_block(block, [*consts, *init, *x], first, look)[1])

    empty = _filled(jax.eval_shape(kernels_of_first_step), 0)
    steps = (xs, dict(perturbations))
    if look is not as_it_is:
        body = jax.checkpoint(body, prevent_cse=False)
    (last, shared), (ys, seen) = jax.lax.scan(body, (init, empty), steps, **scan_options(eqn))
    for site, kernel in shared.items():
        seen[site] = seen[site]._replace(kernel=kernel)
    return [*last, *ys], seen


def _kernels(block: Block, seen: Mapping[_Key, Any]) -> dict[Order, jax.Array]:
    """Of the sites that have the same one at each step, where they are kept."""
    return {site: seen[site].kernel for site in block.shared if isinstance(seen[site], Seen)}


def _run_while(
    eqn: core.JaxprEqn,
    blocks: Sequence[Block],
    values: Sequence[Any],
    perturbations: Mapping[_Key, Any],
    look: Look,
) -> _Ran:
    """The while again, with the carry before its last turn; then its first and last turn.

    What they saw is NaN where there was no turn.
    """
    (block,) = blocks
    of_condition, consts, init = while_parts(eqn, values)
    condition, body = while_functions(eqn)

    def again(state: Any) -> Any:
        _, carry, turns = state
        return carry, evaluate(body, [*consts, *carry]), turns + 1

    before, last, turns = jax.lax.while_loop(
        lambda state: evaluate(condition, [*of_condition, *state[1]])[0],
        again,
        (list(init), list(init), jnp.int32(0)),
    )

    def one_turn(which: int, carry: Sequence[Any]) -> dict[Order, Seen]:
        theirs = jax.tree.map(lambda both: both[which], _stopped(perturbations))
        stopped = [jax.lax.stop_gradient(value) for value in (*consts, *carry)]
        return run_block(block, stopped, theirs, look)[1]

    first, final = one_turn(0, init), one_turn(1, before)
    seen = {}
    for site, both in first.items():
        stacked = jax.tree.map(lambda *turn: jnp.stack(turn), both, final[site])
        stacked = jax.tree.map(partial(_where, turns > 0), stacked)
        whole = site in _kernels(block, first)
        seen[site] = stacked._replace(kernel=both.kernel) if whole else stacked
    return last, seen


def _where(taken: jax.Array, values: jax.Array) -> jax.Array:
    missing = jnp.nan if jnp.issubdtype(values.dtype, jnp.inexact) else 0
    return jnp.where(taken, values, jnp.asarray(missing, values.dtype))


def _stopped(perturbations: Mapping[_Key, Any]) -> dict[Order, Any]:
    return {site: jax.lax.stop_gradient(one) for site, one in perturbations.items()}


def _run_shard_map(
    eqn: core.JaxprEqn,
    blocks: Sequence[Block],
    values: Sequence[Any],
    perturbations: Mapping[_Key, Any],
    look: Look,
) -> _Ran:
    """The shard_map again, over its mesh of one device."""
    options = shard_map_options(eqn)
    everywhere = jax.sharding.PartitionSpec()
    each = jax.sharding.PartitionSpec(options["mesh"].axis_names)

    def body(perturbations: Mapping[_Key, Any], *values: Any) -> Any:
        outs, seen = run_block(blocks[0], values, perturbations, look)
        return outs, jax.tree.map(lambda a: a[None], seen)

    mapped = jax.shard_map(
        body,
        mesh=options["mesh"],
        in_specs=(everywhere, *options["in_specs"]),
        out_specs=(list(options["out_specs"]), each),
        check_vma=eqn.params["check_vma"],
    )
    outs, seen = mapped(dict(perturbations), *values)
    return outs, jax.tree.map(lambda a: a[0], seen)


def _run_cond(
    eqn: core.JaxprEqn,
    blocks: Sequence[Block],
    values: Sequence[Any],
    perturbations: Mapping[_Key, Any],
    look: Look,
) -> _Ran:
    """The cond again; what the sites of the branches not taken saw is NaN."""
    index, *operands = values

    not_taken: dict[Order, Seen] = {}

    def branch(block: Block) -> Any:
        outs, seen = run_block(block, operands, perturbations, look)
        return outs, {**not_taken, **seen}

    branches = [partial(branch, block) for block in blocks]
    for shapes in [jax.eval_shape(one)[1] for one in branches]:
        not_taken.update(_filled(shapes, jnp.nan))
    return jax.lax.switch(index, branches)


def _filled(shapes: Any, value: float) -> Any:
    def fill(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        inexact = jnp.issubdtype(leaf.dtype, jnp.inexact)
        return filled(leaf, value if inexact else 0)

    return jax.tree.map(fill, shapes)


def _run_custom(
    eqn: core.JaxprEqn,
    blocks: Sequence[Block],
    values: Sequence[Any],
    perturbations: Mapping[_Key, Any],
    look: Look,
) -> _Ran:
    """The function as it is, its own derivatives included; its equations run beside it."""
    outs = bind(eqn, values)
    stopped = [jax.lax.stop_gradient(value) for value in values]
    if not blocks[0].differentiable:
        return outs, run_block(blocks[0], stopped, _stopped(perturbations), look)[1]
    within, seen = run_block(blocks[0], stopped, perturbations, look)
    return [_with_tangent(out, also) for out, also in zip(outs, within, strict=True)], seen


@jax.custom_jvp
def _with_tangent(value: jax.Array, other: jax.Array) -> jax.Array:
    """``value``, and a derivative that is that of ``value`` and of ``other`` added up."""
    return value


@_with_tangent.defjvp
def _(primals: Any, tangents: Any) -> Any:
    value, _ = primals
    of_value, of_other = tangents
    if not jnp.issubdtype(value.dtype, jnp.inexact):
        return value, of_value
    return value, of_value + of_other


_RUNS: dict[str, Callable[..., _Ran]] = {
    "scan": _run_scan,
    "while": _run_while,
    "cond": _run_cond,
    "shard_map": _run_shard_map,
    "custom_jvp_call": _run_custom,
    "custom_vjp_call": _run_custom,
}
