"""Compiled programs that outlive the functions they were made of.

``jax.jit`` keeps a program with the function object that it was given. A diagnosis makes its
functions anew at every call, and would compile the same equations each time.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import sha256
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core

from glorot_jax.diagnosis.tracing.jaxpr import evaluate

KEPT = 64
_kept: OrderedDict[Hashable, Any] = OrderedDict()


def compiled_once(function: Callable[..., Any], /) -> Callable[..., Any]:
    """``jax.jit(function)`` that takes its program from an equal one, whatever made that.

    Programs are equal if their equations and shapes are; arrays that the function closes over
    are arguments of the program. It is traced at the first call with arguments of given shapes.

    Example:
      >>> def multiply(by):
      ...     return compiled_once(lambda x: by * x)
      >>> [float(multiply(by)(jnp.float32(3))) for by in jnp.array([2.0, 5.0])]
      [6.0, 15.0]
    """
    programs: dict[Any, Callable[..., Any]] = {}

    def call(*args: Any) -> Any:
        leaves, structure = jax.tree.flatten(args)
        known = structure, tuple(jax.typeof(leaf) for leaf in leaves)
        if known not in programs:
            programs[known] = _program(function, args)
        return programs[known](leaves)

    return call


def _program(function: Callable[..., Any], args: Any) -> Callable[..., Any]:
    prepared = _prepared(function, args)
    consts, places, structure = prepared.consts, prepared.places, prepared.structure
    inputs = len(consts), len(jax.tree.leaves(args))
    compiled = _compiled(prepared.lowered, inputs)

    def call(leaves: list[Any]) -> Any:
        there = [*consts, *leaves, *compiled(consts, leaves)]
        # Not ``asarray``, which compiles a program for each shape that it hasn't seen.
        return jax.tree.unflatten(structure, jax.device_put([there[place] for place in places]))

    return call


def lowered(function: Callable[..., Any], *args: Any) -> Any:
    """The program that ``compiled_once(function)(*args)`` runs, for its lines and its memory."""
    return _prepared(function, args).lowered


class _Prepared(NamedTuple):
    """A program of (consts, leaves), and where among those and what it makes each output is."""

    lowered: Any
    consts: list[Any]
    places: list[int]
    structure: Any


def _prepared(function: Callable[..., Any], args: Any) -> _Prepared:
    closed, made = jax.make_jaxpr(function, return_shape=True)(*args)
    jaxpr, consts = closed.jaxpr, closed.consts
    computed, places = _outputs(jaxpr)

    def run(consts: list[Any], leaves: list[Any]) -> list[Any]:
        made = evaluate(core.ClosedJaxpr(jaxpr, consts), leaves)
        return [made[index] for index in computed]

    # An input that isn't used counts too: equal programs have the same ones.
    program = jax.jit(run, keep_unused=True).lower(consts, jax.tree.leaves(args))
    return _Prepared(program, consts, places, jax.tree.structure(made))


def _outputs(jaxpr: core.Jaxpr) -> tuple[list[int], list[int]]:
    """The outputs to compute, and of all their places among constants, inputs and those.

    An input that is handed out again, or a value that is twice, takes no memory of its own.
    """
    same = _same_values(jaxpr)
    there: dict[Any, int] = {}
    for variable in (*jaxpr.constvars, *jaxpr.invars):
        there[variable] = len(there)
    computed, places = [], []
    for index, out in enumerate(jaxpr.outvars):
        value = index if isinstance(out, core.Literal) else same.get(out, out)
        if value not in there:
            there[value] = len(there)
            computed.append(index)
        places.append(there[value])
    return computed, places


def _same_values(jaxpr: core.Jaxpr) -> dict[Any, Any]:
    """Of what an equation makes that an equal one made before: what that one made."""
    same: dict[Any, Any] = {}
    first: dict[Hashable, Any] = {}

    def read(atom: Any) -> Hashable:
        if not isinstance(atom, core.Literal):
            return same.get(atom, atom)  # type: ignore[no-any-return]
        return (repr(atom.val), atom.aval) if np.ndim(atom.val) == 0 else id(atom)

    for eqn in jaxpr.eqns:
        told = eqn.primitive, tuple(map(read, eqn.invars)), tuple(eqn.params.items())
        if eqn.effects or not _has_hash(told):
            continue
        before = first.setdefault(told, eqn)
        if before is not eqn:
            same |= zip(eqn.outvars, before.outvars, strict=True)
    return same


def _has_hash(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _compiled(program: Any, inputs: tuple[int, int]) -> Any:
    text = program.as_text()
    if not _is_all(text, sum(inputs)):
        return program.compile()
    # What else decides on a program: XLA's options, the device.
    settings = repr(sorted(jax.config.values.items())), jax.default_backend()
    key = sha256(text.encode()).digest(), inputs, settings
    compiled = _kept.pop(key, None) or program.compile()
    _kept[key] = compiled
    if len(_kept) > KEPT:
        _kept.popitem(last=False)
    return compiled


def _is_all(text: str, inputs: int) -> bool:
    """Whether the text says all: no array that JAX adds to the inputs, no call back to Python."""
    signature = re.search(r"func\.func public @main\((.*)\)", text)
    known = signature is not None and signature[1].count("%arg") <= inputs
    return known and "callback" not in text
