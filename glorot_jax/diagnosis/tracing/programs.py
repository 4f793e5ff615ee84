"""Compiled programs that outlive the functions they were made of.

``jax.jit`` keeps a program with the function object that it was given. A diagnosis makes its
functions anew at every call, and would compile the same equations each time.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import sha256
from typing import Any

import jax
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
    closed, made = jax.make_jaxpr(function, return_shape=True)(*args)
    structure = jax.tree.structure(made)
    jaxpr, consts = closed.jaxpr, closed.consts

    def run(consts: list[Any], leaves: list[Any]) -> list[Any]:
        return evaluate(core.ClosedJaxpr(jaxpr, consts), leaves)

    # An input that isn't used counts too: equal programs have the same ones.
    lowered = jax.jit(run, keep_unused=True).lower(consts, jax.tree.leaves(args))
    compiled = _compiled(lowered, (len(consts), len(jaxpr.invars)))
    return lambda leaves: jax.tree.unflatten(structure, compiled(consts, leaves))


def _compiled(lowered: Any, inputs: tuple[int, int]) -> Any:
    text = lowered.as_text()
    if not _is_all(text, sum(inputs)):
        return lowered.compile()
    # What else decides on a program: XLA's options, the device.
    settings = repr(sorted(jax.config.values.items())), jax.default_backend()
    key = sha256(text.encode()).digest(), inputs, settings
    compiled = _kept.pop(key, None) or lowered.compile()
    _kept[key] = compiled
    if len(_kept) > KEPT:
        _kept.popitem(last=False)
    return compiled


def _is_all(text: str, inputs: int) -> bool:
    """Whether the text says all: no array that JAX adds to the inputs, no call back to Python."""
    signature = re.search(r"func\.func public @main\((.*)\)", text)
    known = signature is not None and signature[1].count("%arg") <= inputs
    return known and "callback" not in text
