"""A plan of a model's equations: where its sites are, and what can't be seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
from jax.extend import core

from glorot_jax.diagnosis.tracing.contractions import Contraction, contraction
from glorot_jax.diagnosis.tracing.jaxpr import (
    activation_after,
    contraction_then_bias,
    flatten,
    function,
    inside,
    may_contract,
    scan_options,
    scan_parts,
    variables,
)
from glorot_jax.diagnosis.tracing.layout import Block, Exposed, Order, Site, Unreached


@dataclass(frozen=True)
class Draft:
    """What planning has found so far."""

    sites: list[Site]
    unreached: list[Unreached]


@dataclass(frozen=True)
class _Origin:
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


@dataclass(frozen=True)
class _Place:
    """Where planning is: the names of the leaves, the lengths of the scans around, the order."""

    names: Sequence[str]
    loops: tuple[int, ...] = ()
    order: Order = ()

    def at(self, index: int) -> "_Place":
        return replace(self, order=(*self.order, index))

    def in_scan(self, length: int) -> "_Place":
        return replace(self, loops=(*self.loops, length), order=(*self.order, None))

    def named(self, origin: _Origin) -> str:
        return "+".join(self.names[leaf] for leaf in sorted(origin.leaves))


def plan(closed: core.ClosedJaxpr, names: Sequence[str]) -> tuple[Block, Draft]:
    """The sites of a model whose first inputs are parameters called ``names``, the rest signal."""
    draft = Draft([], [])
    flat = flatten(closed)
    jaxpr = flat.jaxpr
    used = variables(jaxpr.outvars).union(*(variables(eqn.invars) for eqn in jaxpr.eqns))
    for name, variable in zip(names, jaxpr.invars, strict=False):
        if variable not in used:
            draft.unreached.append(Unreached(name, "is never used"))
    origins = [_Origin(leaves=frozenset({leaf})) for leaf in range(len(names))]
    origins += [_Origin(signal=True)] * (len(jaxpr.invars) - len(names))
    return _plan(flat, origins, _Place(names), draft)[0], draft


_Planned = tuple[tuple[Block, ...], list[_Origin]]


def _plan(
    closed: core.ClosedJaxpr, origins: Sequence[_Origin], place: _Place, draft: Draft
) -> tuple[Block, list[_Origin]]:
    """Plans a flat function whose inputs have ``origins``; also the origins of its outputs."""
    jaxpr = closed.jaxpr
    env = dict.fromkeys(jaxpr.constvars, _Origin())
    env.update(zip(jaxpr.invars, origins, strict=True))

    def origin(atom: Any) -> _Origin:
        return _Origin() if isinstance(atom, core.Literal) else env[atom]

    exposed: dict[int, Exposed] = {}
    inner: dict[int, tuple[Block, ...]] = {}
    for index, eqn in enumerate(jaxpr.eqns):
        ins = [origin(atom) for atom in eqn.invars]
        here = place.at(index)
        blocks, made = _EQUATIONS.get(eqn.primitive.name, _other)(eqn, ins, here, draft)
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
        exposed[end] = Exposed(here.order, product.z, product.kernel, next(iter(added), None))
        after = activation_after(jaxpr, s)
        draft.sites.append(_site(product, s, chain, after, origin(product.kernel), here))
    within = [site for blocks in inner.values() for block in blocks for site in block.sites]
    sites = (*(one.site for one in exposed.values()), *within)
    return Block(closed, exposed, inner, sites), [origin(atom) for atom in jaxpr.outvars]


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


def _other(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, draft: Draft) -> _Planned:
    """An equation done as it stands; one that may hide a site is noted."""
    is_site = contraction(eqn, [i.signal for i in ins], [i.of_parameters for i in ins])
    if not is_site and any(i.signal for i in ins) and may_contract(eqn):
        for origin in ins:
            if origin.of_parameters:
                why = f"goes into {eqn.primitive.name}, which can't be looked into"
                draft.unreached.append(Unreached(place.named(origin), why))
    return (), [_joined(*ins)] * len(eqn.outvars)


def _scan(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, draft: Draft) -> _Planned:
    body = flatten(inside(eqn)[0])
    consts, carry, rest = scan_parts(eqn, ins)
    depth, first = len(place.loops), len(draft.sites)
    loop = frozenset({depth})
    xs = [_joined(origin, _Origin(loops=loop)) for origin in rest]
    carried_in = body.jaxpr.invars[len(consts) : len(consts) + len(carry)]
    carried_out = body.jaxpr.outvars[: len(carry)]
    while True:
        # What a carry is made of is known once another step adds nothing to it.
        trial = Draft(list(draft.sites), list(draft.unreached))
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
    draft.sites[:], draft.unreached[:] = trial.sites, trial.unreached
    shared = frozenset(site.order for site in draft.sites[first:] if not site.kernel_varies[depth])
    leaving = [replace(o, loops=o.loops - loop) for o in (*carry, *outs[len(carry) :])]
    return (replace(block, shared=shared),), leaving


def _cond(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, draft: Draft) -> _Planned:
    index, *operands = ins
    first = len(draft.sites)
    blocks, outs = [], []
    for branch, closed in enumerate(inside(eqn)):
        block, made = _plan(flatten(closed), operands, place.at(branch), draft)
        blocks.append(block)
        outs.append(made)
    _caveat(draft, first, "is in a branch of a cond: NaN wherever the branch isn't taken")
    return tuple(blocks), [_joined(index, *origins) for origins in zip(*outs, strict=True)]


def _custom(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, draft: Draft) -> _Planned:
    first = len(draft.sites)
    block, outs = _plan(flatten(inside(eqn)[0]), ins, place, draft)
    _caveat(
        draft,
        first,
        f"is inside a {eqn.primitive.name.removesuffix('_call')}: up to that function's output, "
        "dC/ds follows its equations and not its own derivative rule",
    )
    return (block,), outs


def _caveat(draft: Draft, first: int, why: str) -> None:
    for name in dict.fromkeys(site.name for site in draft.sites[first:]):
        draft.unreached.append(Unreached(name, why))


_EQUATIONS: dict[str, Callable[..., _Planned]] = {
    "scan": _scan,
    "cond": _cond,
    "custom_jvp_call": _custom,
    "custom_vjp_call": _custom,
}
