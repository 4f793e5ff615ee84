"""What feeds what: the equations of a model read as a graph.

Three questions are asked of it, all answered by the equations alone. Which values does every signal
pass through, so that a profile along them speaks of the whole network? Which sites feed the output
and no other site? And what, if anything, stands between a parameter and the cost?
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax.numpy as jnp
from jax.extend import core

from glorot_jax.diagnosis.tracing.jaxpr import flatten, inside, scan_parts

# Steps of a scan are None, as in ``Site.order``.
Order = tuple[int | None, ...]
SOURCE = -1  # the signal that comes in, before the first equation
State = TypeVar("State")


def dominators(parents: Sequence[Sequence[int]]) -> list[int]:
    """The immediate dominator of each node: the last one that all ways to it pass through.

    ``parents`` of each node are earlier nodes or ``SOURCE``; a node without any hangs off SOURCE
    too. Cooper, Harvey and Kennedy (2001), where one pass is enough because nothing goes back.
    """
    immediate: list[int] = []
    for above in parents:
        common = above[0] if above else SOURCE
        for other in above[1:]:
            common = _common(immediate, common, other)
        immediate.append(common)
    return immediate


def _common(immediate: Sequence[int], one: int, other: int) -> int:
    while one != other:
        if one > other:
            one = immediate[one]
        else:
            other = immediate[other]
    return one


def chains(parents: Sequence[Sequence[int]], sinks: Sequence[int]) -> list[list[int]]:
    """Runs of nodes that every way passes through one after the other, without a detour.

    In a chain, all that leaves a node arrives at the next, and nothing else does: a stage of a
    plain network, the sum after a residual block, a tower of its own. The node after ``sinks`` is
    numbered ``len(parents)``. Chains of one node are left out.
    """
    count = len(parents)
    whole = [*parents, sorted(set(sinks))]
    before = dominators(whole)
    # The same backwards: node i becomes count - i, the sink SOURCE and the source the last one.
    readers: list[list[int]] = [[] for _ in range(count + 1)]
    for node, above in enumerate(whole):
        for parent in above or [SOURCE]:
            readers[parent + 1].append(node)
    turned = [
        [SOURCE if reader == count else count - 1 - reader for reader in readers[node + 1]]
        for node in range(count - 1, SOURCE - 1, -1)
    ]
    after_turned = dominators(turned)
    after = {
        node: count if (back := after_turned[count - 1 - node]) == SOURCE else count - 1 - back
        for node in range(SOURCE, count)
    }
    following = {node: then for node, then in after.items() if then > node and before[then] == node}
    starts = sorted(set(following) - set(following.values()))
    found = []
    for start in starts:
        chain = [start]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        found.append(chain)
    return found


@dataclass(frozen=True)
class Level:
    """The equations of one flat function that carry the signal, as nodes of a graph.

    ``nodes``: the index of each one's equation. ``parents``: earlier nodes or SOURCE.
    ``sinks``: nodes whose values leave the function.
    """

    nodes: tuple[int, ...]
    parents: tuple[tuple[int, ...], ...]
    sinks: tuple[int, ...]


def level(jaxpr: core.Jaxpr, signal: Sequence[Any], leaving: Sequence[Any]) -> Level:
    """The graph of ``jaxpr``'s equations from the variables ``signal`` to those ``leaving``.

    Only nodes on a way from one to the other are kept.
    """
    made: dict[Any, int] = dict.fromkeys(signal, SOURCE)
    useful = _needed_for(jaxpr, leaving)
    nodes: list[int] = []
    parents: list[tuple[int, ...]] = []
    for index, eqn in enumerate(jaxpr.eqns):
        if index not in useful:
            continue
        above = tuple(sorted({made[atom] for atom in _variables(eqn.invars) if atom in made}))
        if above:
            made.update(dict.fromkeys(eqn.outvars, len(nodes)))
            nodes.append(index)
            parents.append(above)
    sinks = {made[atom] for atom in _variables(leaving) if atom in made} - {SOURCE}
    return Level(tuple(nodes), tuple(parents), tuple(sorted(sinks)))


def _needed_for(jaxpr: core.Jaxpr, leaving: Sequence[Any]) -> set[int]:
    wanted, needed = set(_variables(leaving)), set()
    for index in range(len(jaxpr.eqns) - 1, -1, -1):
        eqn = jaxpr.eqns[index]
        if wanted & set(eqn.outvars):
            needed.add(index)
            wanted |= set(_variables(eqn.invars))
    return needed


def stations(graph: Level, holding: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Along each chain of ``graph``, the equations behind which a stage with a site is complete.

    ``holding``: the equations that complete a site or hold some. A stage is all that lies between
    two nodes of a chain, so a station is a site's own s in a plain network and the sum in a
    residual one. Each comes with the last equation of ``holding`` in its stage. The chain that
    begins with the source comes first; any may be empty.
    """
    place = {index: node for node, index in enumerate(graph.nodes)}
    holders = sorted(place[index] for index in holding if index in place)
    before = dominators([*graph.parents, graph.sinks])
    last = len(graph.nodes)
    found = []
    for chain in chains(graph.parents, graph.sinks):
        position = {node: i for i, node in enumerate(chain)}
        stops: dict[int, int] = {}
        for holder in holders:
            node = holder
            while node not in position and node != SOURCE:
                node = before[node]
            if node in position:
                stops[position[node] + (node != holder)] = holder
        ends = [(chain[i], holder) for i, holder in sorted(stops.items()) if i < len(chain)]
        found.append(
            [(graph.nodes[i], graph.nodes[holder]) for i, holder in ends if SOURCE < i < last]
        )
    return found


Rule = Callable[[core.JaxprEqn, Order, list[State]], list[State]]


def flow_back(
    closed: core.ClosedJaxpr,
    leaving: Sequence[State],
    rule: Rule[State],
    join: Callable[[State, State], State],
    nothing: State,
    place: Order = (),
) -> list[State]:
    """What the inputs of a flat function are to its outputs, found from the outputs down.

    ``leaving``: the state of each output. ``rule(equation, place, states of its outputs)`` gives
    the states of its inputs. A value read several times gets the ``join`` of its states; one read
    by nothing is ``nothing``. Loops are gone through until a turn changes nothing.
    """
    jaxpr = closed.jaxpr
    states: dict[Any, State] = {}

    def reach(atoms: Sequence[Any], given: Sequence[State]) -> None:
        for atom, state in zip(atoms, given, strict=True):
            if not isinstance(atom, core.Literal):
                states[atom] = join(states[atom], state) if atom in states else state

    reach(jaxpr.outvars, leaving)
    for index in range(len(jaxpr.eqns) - 1, -1, -1):
        eqn = jaxpr.eqns[index]
        outs = [states.get(out, nothing) for out in eqn.outvars]
        if all(out == nothing for out in outs):
            continue
        below = (closed, rule, join, nothing, (*place, index))
        reach(eqn.invars, _through(eqn, outs, *below))
    return [states.get(variable, nothing) for variable in jaxpr.invars]


def _through(
    eqn: core.JaxprEqn,
    outs: list[State],
    closed: core.ClosedJaxpr,
    rule: Rule[State],
    join: Callable[[State, State], State],
    nothing: State,
    here: Order,
) -> list[State]:
    name = eqn.primitive.name
    if name == "scan":
        return _through_scan(eqn, outs, rule, join, nothing, here)
    if name == "cond":
        made = [
            flow_back(flatten(branch), outs, rule, join, nothing, (*here, number))
            for number, branch in enumerate(inside(eqn))
        ]
        operands = [_joined(states, join) for states in zip(*made, strict=True)]
        return [nothing, *operands]
    if name == "custom_jvp_call":
        return flow_back(flatten(inside(eqn)[0]), outs, rule, join, nothing, here)
    return rule(eqn, here, outs)


def _joined(states: Sequence[State], join: Callable[[State, State], State]) -> State:
    first, *rest = states
    for state in rest:
        first = join(first, state)
    return first


def _through_scan(
    eqn: core.JaxprEqn,
    outs: list[State],
    rule: Rule[State],
    join: Callable[[State, State], State],
    nothing: State,
    here: Order,
) -> list[State]:
    flat = flatten(inside(eqn)[0])
    consts, carries = (len(part) for part in scan_parts(eqn, eqn.invars)[:2])
    carry, stacked = outs[:carries], outs[carries:]
    while True:
        made = flow_back(flat, [*carry, *stacked], rule, join, nothing, (*here, None))
        once_more = [
            join(given, back)
            for given, back in zip(carry, made[consts : consts + carries], strict=True)
        ]
        if once_more == carry:
            return made
        carry = once_more


# What lets no gradient through although a value depends on what goes in.
_CLOSED = {
    *("stop_gradient", "argmax", "argmin", "round", "floor", "ceil", "sign", "is_finite"),
    *("eq", "ne", "lt", "le", "gt", "ge", "reduce_and", "reduce_or", "nextafter"),
}


@dataclass(frozen=True)
class Route:
    """Whether gradients come through to a value; if not, the primitives that hold them up.

    ``reached``: whether the outputs depend on it at all. ``open``: whether a gradient comes, and of
    what is no float, ``live``, whether one would if it were. ``closed_by``: of each way that is
    shut, the equation that shuts it first, seen from the outputs.
    """

    reached: bool = False
    open: bool = False
    live: bool = False
    closed_by: frozenset[str] = frozenset()


def routes(closed: core.ClosedJaxpr) -> list[Route]:
    """For each input of a flat function, what stands between it and the outputs."""
    outs = [Route(True, is_inexact(aval), not is_inexact(aval)) for aval in closed.out_avals]
    return flow_back(closed, outs, _route_rule, _join_routes, Route())


def _join_routes(one: Route, other: Route) -> Route:
    return Route(
        one.reached or other.reached,
        one.open or other.open,
        one.live or other.live,
        one.closed_by | other.closed_by,
    )


def _route_rule(eqn: core.JaxprEqn, place: Order, outs: list[Route]) -> list[Route]:
    name = eqn.primitive.name
    of_floats, of_others = Route(), Route()
    for out, route in zip(eqn.outvars, outs, strict=True):
        stops = name in _CLOSED or not is_inexact(out.aval)
        goes_on = route.open or route.live
        by = route.closed_by | ({name} if stops and goes_on else set())
        of_floats = _join_routes(
            of_floats, Route(route.reached, goes_on and not stops, False, frozenset(by))
        )
        of_others = _join_routes(of_others, Route(route.reached, False, goes_on, route.closed_by))
    return [of_floats if is_inexact(atom.aval) else of_others for atom in eqn.invars]


def is_inexact(aval: Any) -> bool:
    """Whether values of this type have gradients; keys of ``jax.random.key`` have none."""
    return hasattr(aval, "dtype") and bool(jnp.issubdtype(aval.dtype, jnp.inexact))


def _variables(atoms: Sequence[Any]) -> list[Any]:
    return [atom for atom in atoms if not isinstance(atom, core.Literal)]


def feeding_output(closed: core.ClosedJaxpr, sites: Sequence[Order]) -> frozenset[Order]:
    """Those of ``sites`` (places of products) whose s reaches the output through no other site."""
    places, found = frozenset(sites), set()

    def rule(eqn: core.JaxprEqn, place: Order, outs: list[bool]) -> list[bool]:
        if place in places:
            found.add(place)
            return [False] * len(eqn.invars)
        return [True] * len(eqn.invars)

    everything = [True] * len(closed.jaxpr.outvars)
    flow_back(closed, everything, rule, lambda one, other: one or other, False)
    return frozenset(found)


def fed_by_input(
    closed: core.ClosedJaxpr, given: Sequence[bool], sites: Sequence[Order], place: Order = ()
) -> tuple[frozenset[Order], list[bool]]:
    """Those of ``sites`` that the inputs marked in ``given`` reach through no other site.

    Also whether each output is so reached.
    """
    jaxpr, places = closed.jaxpr, frozenset(sites)
    reached: dict[Any, bool] = dict(zip(jaxpr.invars, given, strict=True))
    found: set[Order] = set()

    def known(atom: Any) -> bool:
        return not isinstance(atom, core.Literal) and reached.get(atom, False)

    for index, eqn in enumerate(jaxpr.eqns):
        here, ins = (*place, index), [known(atom) for atom in eqn.invars]
        if here in places:
            found |= {here} if any(ins) else set()
            outs = [False] * len(eqn.outvars)
        elif any(ins) and (bodies := inside(eqn)) and eqn.primitive.name in _ENTERED:
            within, outs = _enter(eqn, bodies, ins, sites, here)
            found |= within
        else:
            outs = [any(ins)] * len(eqn.outvars)
        reached.update(zip(eqn.outvars, outs, strict=True))
    return frozenset(found), [known(atom) for atom in jaxpr.outvars]


_ENTERED = ("scan", "cond", "custom_jvp_call")


def _enter(
    eqn: core.JaxprEqn,
    bodies: Sequence[core.ClosedJaxpr],
    ins: list[bool],
    sites: Sequence[Order],
    here: Order,
) -> tuple[frozenset[Order], list[bool]]:
    name = eqn.primitive.name
    if name == "custom_jvp_call":
        return fed_by_input(flatten(bodies[0]), ins, sites, here)
    if name == "cond":
        made = [
            fed_by_input(flatten(body), ins[1:], sites, (*here, number))
            for number, body in enumerate(bodies)
        ]
        outs = [any(flags) for flags in zip(*(flags for _, flags in made), strict=True)]
        return frozenset().union(*(found for found, _ in made)), outs
    body = flatten(bodies[0])
    consts, carry, xs = scan_parts(eqn, ins)
    while True:
        found, outs = fed_by_input(body, [*consts, *carry, *xs], sites, (*here, None))
        after = [one or other for one, other in zip(carry, outs, strict=False)]
        if after == carry:
            return found, outs
        carry = after
