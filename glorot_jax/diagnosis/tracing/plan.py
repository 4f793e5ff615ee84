"""A plan of a model's equations: where its sites are, and what can't be seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
from jax.extend import core

from glorot_jax.diagnosis.tracing.contractions import (
    Contraction,
    contraction,
    moved_axes,
    of_gathered,
)
from glorot_jax.diagnosis.tracing.jaxpr import (
    activation_after,
    contraction_then_bias,
    devices_of,
    flatten,
    flatten_shard,
    function,
    has_while,
    inside,
    may_contract,
    others_of,
    product_of_gathered,
    scan_options,
    scan_parts,
    variables,
    while_functions,
    while_parts,
)
from glorot_jax.diagnosis.tracing.layout import Block, Exposed, Order, Site, Unreached
from glorot_jax.diagnosis.tracing.meshes import shape_of


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


def plan(
    closed: core.ClosedJaxpr, names: Sequence[str], signal: Sequence[str] = ()
) -> tuple[Block, Draft]:
    """The sites of a model whose first inputs are parameters called ``names``, the rest signal.

    A key of random numbers among the parameters is no parameter: what is drawn with it isn't
    learned. Parameters named in ``signal`` count as signal: latents that layers are applied to.
    """
    draft = Draft([], [])
    flat = flatten(closed)
    jaxpr = flat.jaxpr
    used = variables(jaxpr.outvars).union(*(variables(eqn.invars) for eqn in jaxpr.eqns))
    for name, variable in zip(names, jaxpr.invars, strict=False):
        if variable not in used and not is_key(variable.aval):
            draft.unreached.append(Unreached(name, "is never used"))
    origins = [
        _Origin()
        if is_key(jaxpr.invars[leaf].aval)
        else _Origin(signal=name in signal, leaves=frozenset({leaf}))
        for leaf, name in enumerate(names)
    ]
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

    for found in _contractions(jaxpr, origin):
        here = place.at(found.index)
        exposed[found.end] = Exposed(
            here.order, found.product.z, found.product.kernel, found.bias, found.others
        )
        draft.sites.append(_site(jaxpr, found, origin(found.product.kernel), here))
    within = [site for blocks in inner.values() for block in blocks for site in block.sites]
    sites = (*(one.site for one in exposed.values()), *within)
    return Block(closed, exposed, inner, sites), [origin(atom) for atom in jaxpr.outvars]


@dataclass(frozen=True)
class _Found:
    """A contraction at the equation ``index``, whose s is complete behind the equation ``end``.

    ``chain``: the equations from z and kernel to s before its ``bias``. ``others``: what else
    they read.
    """

    product: Contraction
    index: int
    end: int
    chain: tuple[core.JaxprEqn, ...]
    units: tuple[int, ...] | None
    bias: Any
    others: tuple[Any, ...]


def _contractions(jaxpr: core.Jaxpr, origin: Callable[[Any], _Origin]) -> list[_Found]:
    """Every contraction of the signal with parameters among the equations of a flat function."""
    looked_up: dict[Any, int] = {}  # by the value that was looked up, its gather
    products = {}
    for index, eqn in enumerate(jaxpr.eqns):
        ins = [origin(atom) for atom in eqn.invars]
        product = contraction(eqn, [i.signal for i in ins], [i.of_parameters for i in ins])
        if product is not None:
            products[index] = product
            if product.kind == "embedding":
                looked_up[eqn.outvars[0]] = index
        elif eqn.primitive.name in ("squeeze", "reshape") and _is_in(eqn.invars[0], looked_up):
            looked_up[eqn.outvars[0]] = looked_up[eqn.invars[0]]
    experts = {}
    for index in dict.fromkeys(looked_up.values()):
        if expert := _expert(jaxpr, index, origin):
            experts[index] = expert
    found = []
    for index, expert in experts.items():
        del products[index]
        lead, at, product = expert

        def is_bias(atom: Any) -> bool:
            return origin(atom).of_parameters or (
                _is_in(atom, looked_up) and looked_up[atom] in products
            )

        one = _complete(jaxpr, at, product, lead, is_bias)
        if one.bias is not None and _is_in(one.bias, looked_up):
            del products[looked_up[one.bias]]  # a bias of each expert
        found.append(one)
    for index, product in products.items():
        found.append(_complete(jaxpr, index, product, (), lambda atom: origin(atom).of_parameters))
    return found


def _expert(
    jaxpr: core.Jaxpr, gather: int, origin: Callable[[Any], _Origin]
) -> tuple[tuple[core.JaxprEqn, ...], int, Contraction] | None:
    """The product of the signal with kernels that are looked up, if a gather is for that."""
    reader = product_of_gathered(jaxpr, gather)
    if reader is None:
        return None
    index, lead = reader
    eqn = jaxpr.eqns[index]
    side = int(eqn.invars[1] is lead[-1].outvars[0])
    if not origin(eqn.invars[1 - side]).signal:
        return None
    product = of_gathered(jaxpr.eqns[gather], eqn, side)
    return None if product is None else (lead, index, product)


def _complete(
    jaxpr: core.Jaxpr,
    index: int,
    product: Contraction,
    lead: tuple[core.JaxprEqn, ...],
    is_bias: Callable[[Any], bool],
) -> _Found:
    """A product with what brings its kernel, ``lead``, and what follows up to its bias."""
    end, chain = contraction_then_bias(jaxpr, index, is_bias)
    added = variables(jaxpr.eqns[end].invars) - {chain[-1].outvars[0]} if end != index else ()
    whole = (*lead, *chain)
    return _Found(
        product,
        index,
        end,
        whole,
        moved_axes(product.units, chain[1:]),
        next(iter(added), None),
        others_of(whole, (product.z, product.kernel)),
    )


def _site(jaxpr: core.Jaxpr, found: _Found, kernel: _Origin, place: _Place) -> Site:
    product, chain = found.product, found.chain
    s = jaxpr.eqns[found.end].outvars[0]
    activation, used_once = activation_after(jaxpr, s)
    inputs = (product.z, product.kernel, *found.others)
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
        contract=function(chain, inputs, chain[-1].outvars[0]),
        others=tuple(_shape(other) for other in found.others),
        unit_axes=found.units,
        activation=activation,
        used_once=used_once,
        order=place.order,
        bias=None if found.bias is None else _shape(found.bias),
        uses=product.uses,
    )


def _is_in(atom: Any, known: Mapping[Any, Any]) -> bool:
    return not isinstance(atom, core.Literal) and atom in known


def is_key(aval: Any) -> bool:
    """Whether values of this type are keys of ``jax.random.key``."""
    return jax.dtypes.issubdtype(aval.dtype, jax.dtypes.prng_key)


def _shape(atom: Any) -> jax.ShapeDtypeStruct:
    return shape_of(atom.aval)


def _other(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, draft: Draft) -> _Planned:
    """An equation done as it stands; one that may hide a site is noted."""
    is_site = contraction(eqn, [i.signal for i in ins], [i.of_parameters for i in ins])
    if not is_site and any(i.signal for i in ins) and may_contract(eqn):
        for origin in ins:
            if origin.of_parameters:
                why = f"goes into {eqn.primitive.name}, which can't be looked into"
                if eqn.primitive.name == "shard_map":
                    why = f"goes into a shard_map over {devices_of(eqn)} devices: only one is seen"
                draft.unreached.append(Unreached(place.named(origin), why))
    return (), [_joined(*ins)] * len(eqn.outvars)


def _scan(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, draft: Draft) -> _Planned:
    consts, carry, rest = scan_parts(eqn, ins)
    xs = [_joined(origin, _Origin(loops=frozenset({len(place.loops)}))) for origin in rest]
    length = scan_options(eqn)["length"]
    return _loop(flatten(inside(eqn)[0]), consts, carry, xs, place.in_scan(length), draft)


def _while(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, draft: Draft) -> _Planned:
    """Seen at the first turn and the last, and forwards only."""
    _, consts, carry = while_parts(eqn, ins)
    first = len(draft.sites)
    body = flatten(while_functions(eqn)[1])
    planned = _loop(body, consts, carry, [], place.in_scan(2), draft)
    _forwards_only(draft, first)
    _caveat(
        draft,
        first,
        "is inside a while: seen at its first turn, [0], and its last, [1], without gradients",
    )
    return planned


def _loop(
    body: core.ClosedJaxpr,
    consts: Sequence[_Origin],
    carry: list[_Origin],
    xs: Sequence[_Origin],
    place: _Place,
    draft: Draft,
) -> _Planned:
    """The body of a loop; ``xs``: what it steps through; ``place``: inside it."""
    depth, first = len(place.loops) - 1, len(draft.sites)
    loop = frozenset({depth})
    carried_in = body.jaxpr.invars[len(consts) : len(consts) + len(carry)]
    carried_out = body.jaxpr.outvars[: len(carry)]
    while True:
        # What a carry is made of is known once another step adds nothing to it.
        trial = Draft(list(draft.sites), list(draft.unreached))
        block, outs = _plan(body, [*consts, *carry, *xs], place, trial)
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
    body = flatten(inside(eqn)[0])
    block, outs = _plan(body, ins, place, draft)
    rule = eqn.primitive.name.removesuffix("_call")
    if has_while(body):
        _forwards_only(draft, first)
        _caveat(draft, first, f"is inside a {rule} around a while: it has no dC/ds")
        return (replace(block, differentiable=False),), outs
    _caveat(
        draft,
        first,
        f"is inside a {rule}: up to that function's output, "
        "dC/ds follows its equations and not its own derivative rule",
    )
    return (block,), outs


def _shard_map(eqn: core.JaxprEqn, ins: Sequence[_Origin], place: _Place, draft: Draft) -> _Planned:
    """On a mesh of one device what a shard sees is what there is."""
    if devices_of(eqn) > 1:
        return _other(eqn, ins, place, draft)
    block, outs = _plan(flatten_shard(eqn), ins, place, draft)
    return (block,), outs


def _forwards_only(draft: Draft, first: int) -> None:
    draft.sites[first:] = [replace(site, differentiable=False) for site in draft.sites[first:]]


def _caveat(draft: Draft, first: int, why: str) -> None:
    for name in dict.fromkeys(site.name for site in draft.sites[first:]):
        draft.unreached.append(Unreached(name, why))


_EQUATIONS: dict[str, Callable[..., _Planned]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
    "shard_map": _shard_map,
    "custom_jvp_call": _custom,
    "custom_vjp_call": _custom,
}
