"""A plan of a model's equations: where its sites are, and how to run it with each one exposed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from glorot_jax.diagnosis.tracing.contractions import Contraction, contraction
from glorot_jax.diagnosis.tracing.jaxpr import (
    Read,
    activation_after,
    bind,
    contraction_then_bias,
    evaluate,
    flatten,
    function,
    inside,
    may_contract,
    scan_options,
    scan_parts,
    variables,
)

# Where in the program a site is, which also identifies it: the index of its equation, after the
# indices of those around it. None stands for the step of a scan.
Order = tuple[int | None, ...]


class Site(NamedTuple):
    """One contraction of the signal with a parameter. Shapes are those of one step of its loops.

    ``name``: the parameter's path; paths joined by + where the kernel is made of several.
    ``kind``: dense, convolution or embedding. ``steps``: the lengths of the scans around it,
    outermost first; ``kernel_varies``: for each, whether the kernel differs from step to step.
    ``fan_in``, ``fan_out``: of one unit, in values. ``contract``: (z, kernel) to s before its
    bias. ``activation``: the elementwise function that everything above s sees, or None;
    ``used_once``: whether a single equation, or the output of a loop's step, sees it.
    ``order``: where in the program. ``z_axis``, ``s_axis``: the axis of the examples, None where
    it isn't known.
    """

    name: str
    kind: str
    z: jax.ShapeDtypeStruct
    kernel: jax.ShapeDtypeStruct
    s: jax.ShapeDtypeStruct
    steps: tuple[int, ...]
    kernel_varies: tuple[bool, ...]
    fan_in: int
    fan_out: int
    contract: Callable[[jax.Array, jax.Array], jax.Array]
    activation: Callable[[jax.Array], jax.Array] | None
    used_once: bool
    order: Order
    z_axis: int | None = None
    s_axis: int | None = None


class Unreached(NamedTuple):
    """A parameter, and what is not seen of it in words that follow its name."""

    name: str
    reason: str


class Found(NamedTuple):
    """What planning has found so far."""

    sites: list[Site]
    unreached: list[Unreached]


class Seen(NamedTuple):
    """The values of one site, steps first; ``kernel`` only has the steps it differs between.

    ``bias``: what is added to the product, shaped like s, or None.
    """

    z: jax.Array
    s: jax.Array
    kernel: Any
    bias: Any


class Block(NamedTuple):
    """A flat function and what to do at its equations, by their indices.

    ``taps``: equations that complete an s. ``inner``: the functions inside an equation that hold
    sites. ``sites``: all of them, inner ones too. ``kept``, of the body of a scan: the sites whose
    kernel is the same at each step.
    """

    closed: core.ClosedJaxpr
    taps: dict[int, "_Tap"]
    inner: dict[int, tuple["Block", ...]]
    sites: tuple[Order, ...]
    kept: frozenset[Order] = frozenset()


class _Tap(NamedTuple):
    site: Order
    z: Any
    kernel: Any
    bias: Any


class _Origin(NamedTuple):
    """What a value is made of: the signal, ``leaves`` of the parameters, steps of ``loops``."""

    signal: bool = False
    leaves: frozenset[int] = frozenset()
    loops: frozenset[int] = frozenset()

    @property
    def of_parameters(self) -> bool:
        return bool(self.leaves) and not self.signal


def _joined(*origins: _Origin) -> _Origin:
    return _Origin(
        any(origin.signal for origin in origins),
        frozenset().union(*(origin.leaves for origin in origins)),
        frozenset().union(*(origin.loops for origin in origins)),
    )


class _Place(NamedTuple):
    """Where planning is: the names of the leaves, the lengths of the scans around, the order."""

    names: Sequence[str]
    loops: tuple[int, ...] = ()
    order: Order = ()

    def at(self, index: int) -> "_Place":
        return self._replace(order=(*self.order, index))

    def in_scan(self, length: int) -> "_Place":
        return self._replace(loops=(*self.loops, length), order=(*self.order, None))

    def named(self, origin: _Origin) -> str:
        return "+".join(self.names[leaf] for leaf in sorted(origin.leaves))


def plan(closed: core.ClosedJaxpr, names: Sequence[str]) -> tuple[Block, Found]:
    """The sites of a model whose first inputs are parameters called ``names``, the rest signal."""
    found = Found([], [])
    flat = flatten(closed)
    jaxpr = flat.jaxpr
    used = variables(jaxpr.outvars).union(*(variables(eqn.invars) for eqn in jaxpr.eqns))
    for name, variable in zip(names, jaxpr.invars, strict=False):
        if variable not in used:
            found.unreached.append(Unreached(name, "is never used"))
    origins = [_Origin(leaves=frozenset({leaf})) for leaf in range(len(names))]
    origins += [_Origin(signal=True)] * (len(jaxpr.invars) - len(names))
    return _plan(flat, origins, _Place(names), found)[0], found


_Planned = tuple[tuple[Block, ...], list[_Origin]]


def _plan(
    closed: core.ClosedJaxpr, origins: Sequence[_Origin], place: _Place, found: Found
) -> tuple[Block, list[_Origin]]:
    """Plans a flat function whose inputs have ``origins``; also the origins of its outputs."""
    jaxpr = closed.jaxpr
    env = dict.fromkeys(jaxpr.constvars, _Origin())
    env.update(zip(jaxpr.invars, origins, strict=True))

    def origin(atom: Any) -> _Origin:
        return _Origin() if isinstance(atom, core.Literal) else env[atom]

    taps: dict[int, _Tap] = {}
    inner: dict[int, tuple[Block, ...]] = {}
    for index, eqn in enumerate(jaxpr.eqns):
        ins = [origin(atom) for atom in eqn.invars]
        here = place.at(index)
        blocks, made = _EQUATIONS.get(eqn.primitive.name, _other)(eqn, ins, here, found)
        if any(block.sites for block in blocks):
            inner[index] = blocks
        env.update(zip(eqn.outvars, made, strict=True))

    for index, eqn in enumerate(jaxpr.eqns):
        ins = [origin(atom) for atom in eqn.invars]
        product = contraction(eqn, [i.signal for i in ins], [i.of_parameters for i in ins])
        if product is None:
            continue
        end, chain = contraction_then_bias(jaxpr, index, lambda atom: origin(atom).of_parameters)
        s, here = jaxpr.eqns[end].outvars[0], place.at(index)
        added = variables(jaxpr.eqns[end].invars) - {chain[-1].outvars[0]} if end != index else ()
        taps[end] = _Tap(here.order, product.z, product.kernel, next(iter(added), None))
        after = activation_after(jaxpr, s)
        found.sites.append(_site(product, s, chain, after, origin(product.kernel), here))
    within = [site for blocks in inner.values() for block in blocks for site in block.sites]
    sites = (*(tap.site for tap in taps.values()), *within)
    return Block(closed, taps, inner, sites), [origin(atom) for atom in jaxpr.outvars]


def _site(
    product: Contraction,
    s: Any,
    chain: tuple[core.JaxprEqn, ...],
    after: tuple[Callable[..., Any] | None, bool],
    kernel: _Origin,
    place: _Place,
) -> Site:
    return Site(
        name=place.named(kernel),
        kind=product.kind,
        z=_shape(product.z),
        kernel=_shape(product.kernel),
        s=_shape(s),
        steps=place.loops,
        kernel_varies=tuple(loop in kernel.loops for loop in range(len(place.loops))),
        fan_in=product.fan_in,
        fan_out=product.fan_out,
        contract=function(chain, (product.z, product.kernel), chain[-1].outvars[0]),
        activation=after[0],
        used_once=after[1],
        order=place.order,
    )


def _shape(atom: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype)


def _other(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, found: Found) -> _Planned:
    """An equation done as it stands; one that may hide a site is noted."""
    is_site = contraction(eqn, [i.signal for i in ins], [i.of_parameters for i in ins])
    if not is_site and any(i.signal for i in ins) and may_contract(eqn):
        for origin in ins:
            if origin.of_parameters:
                why = f"goes into {eqn.primitive.name}, which can't be looked into"
                found.unreached.append(Unreached(place.named(origin), why))
    return (), [_joined(*ins)] * len(eqn.outvars)


def _scan(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, found: Found) -> _Planned:
    body = flatten(inside(eqn)[0])
    consts, carry, rest = scan_parts(eqn, ins)
    depth, first = len(place.loops), len(found.sites)
    loop = frozenset({depth})
    xs = [_joined(origin, _Origin(loops=loop)) for origin in rest]
    carried_in = body.jaxpr.invars[len(consts) : len(consts) + len(carry)]
    carried_out = body.jaxpr.outvars[: len(carry)]
    while True:
        # What a carry is made of is known once another step adds nothing to it.
        trial = Found(list(found.sites), list(found.unreached))
        inside_scan = place.in_scan(scan_options(eqn)["length"])
        block, outs = _plan(body, [*consts, *carry, *xs], inside_scan, trial)
        after = [
            before if received is given else _joined(before, out, _Origin(loops=loop))
            for before, out, received, given in zip(
                carry, outs[: len(carry)], carried_in, carried_out, strict=True
            )
        ]
        if after == carry:
            break
        carry = after
    found.sites[:], found.unreached[:] = trial
    kept = frozenset(site.order for site in found.sites[first:] if not site.kernel_varies[depth])
    leaving = [o._replace(loops=o.loops - loop) for o in (*carry, *outs[len(carry) :])]
    return (block._replace(kept=kept),), leaving


def _cond(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, found: Found) -> _Planned:
    index, *operands = ins
    first = len(found.sites)
    blocks, outs = [], []
    for branch, closed in enumerate(inside(eqn)):
        block, made = _plan(flatten(closed), operands, place.at(branch), found)
        blocks.append(block)
        outs.append(made)
    _caveat(found, first, "is in a branch of a cond: NaN wherever the branch isn't taken")
    return tuple(blocks), [_joined(index, *origins) for origins in zip(*outs, strict=True)]


def _custom(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, found: Found) -> _Planned:
    first = len(found.sites)
    block, outs = _plan(flatten(inside(eqn)[0]), ins, place, found)
    _caveat(
        found,
        first,
        f"is inside a {eqn.primitive.name.removesuffix('_call')}: up to that function's output, "
        "dC/ds follows its equations and not its own derivative rule",
    )
    return (block,), outs


def _caveat(found: Found, first: int, why: str) -> None:
    for name in dict.fromkeys(site.name for site in found.sites[first:]):
        found.unreached.append(Unreached(name, why))


_EQUATIONS: dict[str, Callable[..., _Planned]] = {
    "scan": _scan,
    "cond": _cond,
    "custom_jvp_call": _custom,
    "custom_vjp_call": _custom,
}


_Ran = tuple[Sequence[Any], dict[Order, Seen]]


def run(block: Block, args: Sequence[Any], taps: Mapping[Order, jax.Array]) -> _Ran:
    """Outputs of ``block``, and what each of its sites saw; ``taps[site]`` is added to its s."""
    seen: dict[Order, Seen] = {}

    def special(index: int, eqn: core.JaxprEqn, read: Read) -> Sequence[Any] | None:
        values = [read(atom) for atom in eqn.invars]
        if blocks := block.inner.get(index):
            own = {site: taps[site] for inner in blocks for site in inner.sites}
            outs, within = _RUNS[eqn.primitive.name](eqn, blocks, values, own)
            seen.update(within)
            return outs
        if tap := block.taps.get(index):
            s = bind(eqn, values)[0] + taps[tap.site]
            bias = None if tap.bias is None else read(tap.bias)
            seen[tap.site] = Seen(read(tap.z), s, read(tap.kernel), bias)
            return [s]
        return None

    return evaluate(block.closed, args, special), seen


def _run_scan(
    eqn: core.JaxprEqn,
    blocks: Sequence[Block],
    values: Sequence[Any],
    taps: Mapping[Order, jax.Array],
) -> _Ran:
    """The scan again, with taps among its inputs and what the sites saw among its outputs.

    A kernel that is the same at each step is carried out of it, so that there is one copy.
    """
    (block,) = blocks
    consts, init, xs = scan_parts(eqn, values)

    def body(carry: Any, step: Any) -> Any:
        outs, seen = run(block, [*consts, *carry[0], *step[0]], step[1])
        kept = {site: seen[site].kernel for site in block.kept}
        stacked = {
            site: values._replace(kernel=None) if site in kept else values
            for site, values in seen.items()
        }
        return (outs[: len(init)], kept), (outs[len(init) :], stacked)

    def kernels_of_first_step() -> dict[Order, jax.Array]:
        x, own = jax.tree.map(lambda steps: steps[0], (xs, dict(taps)))
        seen = run(block, [*consts, *init, *x], own)[1]
        return {site: seen[site].kernel for site in block.kept}

    empty = _filled(jax.eval_shape(kernels_of_first_step), 0)
    steps = (xs, dict(taps))
    (last, kept), (ys, seen) = jax.lax.scan(body, (init, empty), steps, **scan_options(eqn))
    for site, kernel in kept.items():
        seen[site] = seen[site]._replace(kernel=kernel)
    return [*last, *ys], seen


def _run_cond(
    eqn: core.JaxprEqn,
    blocks: Sequence[Block],
    values: Sequence[Any],
    taps: Mapping[Order, jax.Array],
) -> _Ran:
    """The cond again; what the sites of the branches not taken saw is NaN."""
    index, *operands = values

    not_taken: dict[Order, Seen] = {}

    def branch(block: Block) -> Any:
        outs, seen = run(block, operands, taps)
        return outs, {**not_taken, **seen}

    branches = [partial(branch, block) for block in blocks]
    for shapes in [jax.eval_shape(one)[1] for one in branches]:
        not_taken.update(_filled(shapes, jnp.nan))
    return jax.lax.switch(index, branches)


def _filled(shapes: Any, value: float) -> Any:
    def fill(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        inexact = jnp.issubdtype(leaf.dtype, jnp.inexact)
        return jnp.full(leaf.shape, value if inexact else 0, leaf.dtype)

    return jax.tree.map(fill, shapes)


def _run_custom(
    eqn: core.JaxprEqn,
    blocks: Sequence[Block],
    values: Sequence[Any],
    taps: Mapping[Order, jax.Array],
) -> _Ran:
    """The function as it is, its own derivatives included; its equations run beside it."""
    outs = bind(eqn, values)
    within, seen = run(blocks[0], [jax.lax.stop_gradient(value) for value in values], taps)
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
    "cond": _run_cond,
    "custom_jvp_call": _run_custom,
    "custom_vjp_call": _run_custom,
}
