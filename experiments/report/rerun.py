"""From a claim to its code and back to its numbers: where its predicate is, what runs it again."""

import functools
import inspect
import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import xarray as xr

from experiments.claims import Claim
from experiments.configs.base import PRESETS, WHOLE
from experiments.exhibits import EXHIBITS
from experiments.report import facts

ROOT = Path(__file__).parents[2]
SOURCE = "https://github.com/glorot-jax/glorot_jax/blob/main"
WRAPPED = "test"  # what experiments.claims.verdict.on calls the predicate that it wraps
# Claims that compare what their figure shows with what it doesn't, and the config that has both.
_WIDER: Mapping[str, str] = MappingProxyType(
    {
        "fig01-one-class-error": "fig11",
        "tanh-top-stays-clear": "fig11",
        "fig10-tanh-n-together": "fig11",
        "fig10-like-softsign": "fig11",
        **{f"fig{n}-{name}-alike": "fig12" for n in ("03", "09") for name in ("mnist", "cifar10")},
        **{f"fig{n}-small-imagenet-alike": "table1" for n in ("03", "09")},
    }
)


def predicate(test: Callable) -> Callable:
    """The function that decides, inside partials and closures over a predicate on one group.

    >>> predicate(functools.partial(print, "x")) is print
    True
    """
    while True:
        if isinstance(test, functools.partial):
            test = test.func
        elif inspect.isfunction(test) and WRAPPED in test.__code__.co_freevars:
            test = inspect.getclosurevars(test).nonlocals[WRAPPED]
        else:
            return test


def source(claim: Claim) -> str:
    """The address of the line where the claim's predicate begins."""
    code = predicate(claim.test).__code__
    path = Path(code.co_filename).resolve().relative_to(ROOT)
    return f"{SOURCE}/{path.as_posix()}#L{code.co_firstlineno}"


def config_of(claim: Claim) -> str:
    """The least config that measures what the claim is judged by."""
    return _WIDER.get(claim.id, claim.figure)


def command(results: xr.DataTree, claim: Claim) -> str:
    """What measures the claim again as it was in ``results``: their preset and what was changed.

    A run of a config that is neither the whole paper's nor a figure's is run again as a whole.
    """
    name, preset = facts.name(results), facts.preset(results) or "quick"
    if name in ("", WHOLE, *EXHIBITS):
        name = config_of(claim)
        preset = preset if preset in PRESETS else "quick"
    flags = [
        f"--config.{field}={shlex.quote(_value(value))}" for field, value in facts.changed(results)
    ]
    words = [f"--config={name}:{preset}", *flags, f"--workdir=results/{name}"]
    return " ".join(["python -m experiments.launch", *words])


def _value(value: object) -> str:
    """A value as the flag of a config takes it, where lists are tuples."""
    if not isinstance(value, list):
        return str(value)
    entries = [json.dumps(entry) if isinstance(entry, str) else _value(entry) for entry in value]
    return f"({', '.join(entries)},)" if entries else "()"
