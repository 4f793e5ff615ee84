"""The equations as a graph: against brute force on random graphs, and on small models."""

import itertools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import pytest

from glorot_jax.diagnosis.tracing import graph
from glorot_jax.diagnosis.tracing.graph import SOURCE
from glorot_jax.diagnosis.tracing.jaxpr import flatten

PARENTS = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        *(st.sets(st.integers(SOURCE, i - 1), min_size=1, max_size=3).map(sorted) for i in range(n))
    )
)


def _reached(parents, without=None):
    """The nodes that some way leads to from the source, once a node is taken out."""
    seen = {SOURCE}
    for node, above in enumerate(parents):
        if node != without and seen & set(above):
            seen.add(node)
    return seen


@hypothesis.given(PARENTS)
def test_a_dominator_is_the_last_node_on_every_way(parents):
    immediate = graph.dominators(parents)
    for node in range(len(parents)):
        on_all_ways = [
            other for other in range(node) if node not in _reached(parents, without=other)
        ]
        assert immediate[node] == (on_all_ways[-1] if on_all_ways else SOURCE)


@hypothesis.given(PARENTS)
def test_what_leaves_a_node_of_a_chain_arrives_at_the_next_and_nothing_else_does(parents):
    sink = len(parents)
    read = {parent for above in parents for parent in above}
    sinks = [node for node in range(sink) if node not in read]
    whole = [*parents, sinks]
    children = {
        node: [other for other, above in enumerate(whole) if node in above]
        for node in range(SOURCE, sink)
    }

    def ways_avoiding(start, end, goal):
        """Whether a way leads from ``start`` to ``goal`` past ``end``."""
        todo, seen = [start], set()
        while todo:
            node = todo.pop()
            if node == goal:
                return True
            if node != end and node not in seen:
                seen.add(node)
                todo += children.get(node, [])
        return False

    for chain in graph.chains(parents, sinks):
        for one, other in itertools.pairwise(chain):
            assert one < other
            assert other == sink or not ways_avoiding(one, other, sink)
            assert one == SOURCE or other not in _reached(whole, without=one)


def _flat(function, *shapes):
    return flatten(jax.make_jaxpr(function)(*(jnp.ones(shape) for shape in shapes)))


def _stations(function, *shapes):
    """Names of the primitives of the stations; every product is a site."""
    jaxpr = _flat(function, *shapes).jaxpr
    signal = jaxpr.invars[-1:]
    level = graph.level(jaxpr, signal, jaxpr.outvars)
    sites = [i for i, eqn in enumerate(jaxpr.eqns) if eqn.primitive.name == "dot_general"]
    chains = graph.stations(level, sites)
    return [[jaxpr.eqns[i].primitive.name for i, _ in chain] for chain in chains if chain]


def test_stations_of_a_plain_network_are_its_sites():
    found = _stations(lambda w, x: jnp.tanh(jnp.tanh(x @ w) @ w) @ w, (3, 3), (2, 3))
    assert found == [["dot_general"] * 3]


def test_stations_of_a_residual_network_are_its_sums():
    def net(w, x):
        for _ in range(3):
            x = x + jnp.tanh(x @ w) @ w
        return x @ w

    trunk, *branches = _stations(net, (3, 3), (2, 3))
    assert trunk == ["add", "add", "add", "dot_general"]
    assert branches == [["dot_general", "dot_general"]] * 3


def test_towers_are_chains_of_their_own():
    def net(w, x):
        one = jnp.tanh(jnp.tanh(x @ w) @ w) @ w
        return jnp.concatenate([one, jnp.sin(x @ w) @ w], -1)

    found = _stations(net, (3, 3), (2, 3))
    assert sorted(map(len, found)) == [1, 2, 3]


ROUTES = {
    "plain": (lambda w, x: x @ w, True, set()),
    "stopped": (lambda w, x: jax.lax.stop_gradient(x @ w), False, {"stop_gradient"}),
    "stopped beside": (lambda w, x: x @ w + jax.lax.stop_gradient(x @ w), True, None),
    "picked": (lambda w, x: jax.nn.one_hot(jnp.argmax(x @ w, -1), 3), False, {"argmax"}),
    "weighed, then picked": (
        lambda w, x: jax.nn.one_hot(jnp.argmax(jax.nn.softmax(x @ w), -1), 3),
        False,
        {"argmax"},
    ),
    "rounded": (lambda w, x: jnp.round(x @ w), False, {"round"}),
    "straight through": (
        lambda w, x: x @ w + jax.lax.stop_gradient(jnp.round(x @ w) - x @ w),
        True,
        None,
    ),
    "softmax": (lambda w, x: jax.nn.softmax(x @ w), True, None),
    "best of all": (lambda w, x: jax.lax.top_k(x @ w, 2)[0], True, None),
    "their places": (
        lambda w, x: jax.lax.top_k(x @ w, 2)[1].astype(jnp.float32),
        False,
        {"top_k"},
    ),
    "compared": (lambda w, x: jnp.where(x @ w > 0, x, 0.0), False, {"gt"}),
    "in a scan": (
        lambda w, x: jax.lax.scan(lambda c, _: (jnp.tanh(c @ w), None), x, None, 3)[0],
        True,
        set(),
    ),
    "stopped in a scan": (
        lambda w, x: jax.lax.scan(
            lambda c, _: (c + jax.lax.stop_gradient(c @ w), None), x, None, 3
        )[0],
        False,
        {"stop_gradient"},
    ),
    "beside noise of a key": (
        lambda w, x: jnp.where(jax.random.bernoulli(jax.random.key(0), 0.5, (2, 3)), x @ w, 0.0),
        True,
        set(),
    ),
    "unused": (lambda w, x: x * 1.0, False, set()),
}


@pytest.mark.parametrize("name", ROUTES)
def test_what_stands_between_a_parameter_and_the_output(name):
    function, is_open, closed_by = ROUTES[name]
    route, _ = graph.routes(_flat(function, (3, 3), (2, 3)))
    assert route.open == is_open
    assert route.reached == (name != "unused")
    if closed_by is not None:
        assert route.closed_by == closed_by
