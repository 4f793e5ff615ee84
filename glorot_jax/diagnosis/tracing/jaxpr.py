"""The equations of a traced function: made flat, evaluated with changes, and asked about."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.extend import core, source_info_util

from glorot_jax.diagnosis.tracing.contractions import CONTRACTIONS

# Calls that only group equations; remat recomputes them, which changes no value.
_GROUPS = {"jit", "pjit", "closed_call", "core_call", "remat2", "checkpoint"}

_REARRANGING = {"reshape", "transpose", "squeeze", "expand_dims", "copy"}
_OPAQUE = {"ffi_call", "pure_callback", "io_callback"}
# No sums over elements, no constants that differ from element to element.
# fmt: off
_ELEMENTWISE = _REARRANGING | _GROUPS | {
    "abs", "neg", "sign", "square", "sqrt", "rsqrt", "cbrt", "integer_pow", "pow", "exp", "exp2",
    "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan",
    "asinh", "acosh", "atanh", "logistic", "erf", "erfc", "erf_inv", "add", "add_any", "sub", "mul",
    "div", "max", "min", "rem", "clamp", "select_n", "eq", "ne", "lt", "le", "gt", "ge", "and",
    "or", "not", "is_finite", "floor", "ceil", "round", "convert_element_type",
    "reduce_precision", "custom_jvp_call", "custom_vjp_call",
}
# fmt: on
_LINEAR = _REARRANGING | {"neg", "add", "sub", "mul", "div", "convert_element_type"}

Read = Callable[[Any], Any]
Special = Callable[[int, core.JaxprEqn, Read], Sequence[Any] | None]


def evaluate(
    closed: core.ClosedJaxpr, args: Sequence[Any], special: Special = lambda i, eqn, read: None
) -> list[Any]:
    """The outputs of ``closed`` at ``args``.

    ``special(i, equation, read)`` may return the outputs of the i-th equation itself; where it
    returns None, the equation is done as it stands.
    """
    jaxpr = closed.jaxpr
    env = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))
    run(jaxpr.eqns, env, special)
    return [_read(env, atom) for atom in jaxpr.outvars]


def run(
    eqns: Iterable[core.JaxprEqn],
    env: dict[Any, Any],
    special: Special = lambda i, eqn, read: None,
) -> None:
    """Does ``eqns`` in order; ``env`` holds each variable's value and gets the new ones."""

    def read(atom: Any) -> Any:
        return _read(env, atom)

    for index, eqn in enumerate(eqns):
        # What surrounded the equation when it was traced: a matmul precision, a mesh, a line.
        with eqn.ctx.manager, source_info_util.user_context(eqn.source_info.traceback):
            values = special(index, eqn, read)
            if values is None:
                values = bind(eqn, [read(atom) for atom in eqn.invars])
        env.update(zip(eqn.outvars, values, strict=True))


def _read(env: Mapping[Any, Any], atom: Any) -> Any:
    return atom.val if isinstance(atom, core.Literal) else env[atom]


def bind(eqn: core.JaxprEqn, values: Sequence[Any]) -> Sequence[Any]:
    """The outputs of one equation, custom derivatives included."""
    params: Any = eqn.primitive.get_bind_params(eqn.params)
    # Until jax 0.10 functions among the parameters came apart from them.
    functions, params = params if isinstance(params, tuple) else ((), params)
    made = eqn.primitive.bind(*functions, *values, **params)
    return made if eqn.primitive.multiple_results else [made]


def flatten(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """The same function with every jit and remat written out, less what no output needs.

    Loops, branches and functions with derivatives of their own stay single equations.
    """

    def whole(*args: Any) -> list[Any]:
        return evaluate(closed, args, _inlined)

    return _needed(jax.make_jaxpr(whole)(*closed.in_avals))


def _inlined(index: int, eqn: core.JaxprEqn, read: Read) -> Sequence[Any] | None:
    if eqn.primitive.name not in _GROUPS:
        return None
    return evaluate(inside(eqn)[0], [read(atom) for atom in eqn.invars], _inlined)


def flatten_shard(eqn: core.JaxprEqn) -> core.ClosedJaxpr:
    """The flat body of a shard_map, traced where the names of its axes are known."""
    (body,) = inside(eqn)

    def whole(*args: Any) -> tuple[Any, ...]:
        return tuple(evaluate(body, args, _inlined))

    mapped = jax.shard_map(whole, check_vma=eqn.params["check_vma"], **shard_map_options(eqn))
    traced = jax.make_jaxpr(mapped)(*(atom.aval for atom in eqn.invars))
    (again,) = (one for one in traced.jaxpr.eqns if one.primitive.name == "shard_map")
    return _needed(inside(again)[0])


def _needed(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    jaxpr = closed.jaxpr
    read = variables(jaxpr.outvars)
    kept = []
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or not read.isdisjoint(eqn.outvars):
            kept.append(eqn)
            read |= variables(eqn.invars)
    return core.ClosedJaxpr(jaxpr.replace(eqns=kept[::-1]), closed.consts)


def variables(atoms: Iterable[Any]) -> set[Any]:
    """Those of ``atoms`` that aren't literals."""
    return {atom for atom in atoms if _is_variable(atom)}


def inside(eqn: core.JaxprEqn) -> list[core.ClosedJaxpr]:
    """The functions an equation calls: the body of a loop, the branches of a cond."""
    values = [v for held in eqn.params.values() for v in (held if _is_list(held) else [held])]
    return [_closed(v) for v in values if isinstance(v, (core.Jaxpr, core.ClosedJaxpr))]


def _closed(jaxpr: Any) -> core.ClosedJaxpr:
    # From jax 0.11 both are one type, and closing it again would take its constants for inputs.
    return jaxpr if isinstance(jaxpr, core.ClosedJaxpr) else core.ClosedJaxpr(jaxpr, ())


def scan_parts(eqn: core.JaxprEqn, values: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """``values``, one an input of a scan: its constants, its carry, and what it steps through."""
    if "ft_in" in eqn.params:  # from jax 0.11
        consts, carry, _ = (len(part) for part in eqn.params["ft_in"].unpack())
    else:
        consts, carry = eqn.params["num_consts"], eqn.params["num_carry"]
    values = list(values)
    return values[:consts], values[consts : consts + carry], values[consts + carry :]


def scan_options(eqn: core.JaxprEqn) -> dict[str, Any]:
    """What else ``jax.lax.scan`` was called with."""
    return {name: eqn.params[name] for name in ("length", "reverse", "unroll")}


def while_parts(
    eqn: core.JaxprEqn, values: Sequence[Any]
) -> tuple[list[Any], list[Any], list[Any]]:
    """``values``, one an input of a while: constants of its condition and body, and its carry."""
    condition, body = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    values = list(values)
    return values[:condition], values[condition : condition + body], values[condition + body :]


def while_functions(eqn: core.JaxprEqn) -> tuple[core.ClosedJaxpr, core.ClosedJaxpr]:
    """Its condition, and its body."""
    return eqn.params["cond_jaxpr"], eqn.params["body_jaxpr"]


def devices_of(eqn: core.JaxprEqn) -> int:
    """Over how many devices a shard_map goes."""
    return int(eqn.params["mesh"].size)


def shard_map_options(eqn: core.JaxprEqn) -> dict[str, Any]:
    """What ``jax.shard_map`` was called with."""
    return {name: eqn.params[name] for name in ("mesh", "in_specs", "out_specs")}


def has_while(closed: core.ClosedJaxpr) -> bool:
    """Whether a while is anywhere inside, through which JAX takes no gradient."""
    return any(
        eqn.primitive.name == "while" or any(has_while(inner) for inner in inside(eqn))
        for eqn in closed.jaxpr.eqns
    )


def source_line(eqn: core.JaxprEqn) -> str:
    """File and line of the user's code that an equation comes from; empty where it isn't known."""
    try:
        text = source_info_util.summarize(eqn.source_info)
    except Exception:  # not a promise of JAX's
        return ""
    file, _, rest = text.partition(":")
    line = rest.partition(":")[0]
    return f"{Path(file).name}:{line}" if line.isdigit() else ""


def _is_list(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def may_contract(eqn: core.JaxprEqn) -> bool:
    """Whether an equation, or one inside it, contracts arrays or can't be looked into."""
    name = eqn.primitive.name
    return name in CONTRACTIONS | _OPAQUE or any(
        may_contract(inner) for closed in inside(eqn) for inner in closed.jaxpr.eqns
    )


def function(
    eqns: Sequence[core.JaxprEqn], inputs: Sequence[Any], output: Any
) -> Callable[..., Any]:
    """Those of ``eqns`` that ``output`` is made by, as a function of the variables ``inputs``."""
    needed = _leading_to(output, eqns)

    def evaluated(*values: Any) -> Any:
        mesh = jax.sharding.get_abstract_mesh()

        def here(index: int, eqn: core.JaxprEqn, read: Read) -> Sequence[Any]:
            """Out of the shard_map that the equation may be in."""
            with jax.sharding.use_abstract_mesh(mesh):
                return bind(eqn, [read(atom) for atom in eqn.invars])

        env = dict(zip(inputs, values, strict=True))
        run(needed, env, here)
        return env[output]

    return evaluated


def _leading_to(output: Any, eqns: Sequence[core.JaxprEqn]) -> list[core.JaxprEqn]:
    wanted, needed = {output}, []
    for eqn in reversed(eqns):
        if wanted & set(eqn.outvars):
            wanted |= variables(eqn.invars)
            needed.append(eqn)
    return needed[::-1]


def product_of_gathered(
    jaxpr: core.Jaxpr, start: int
) -> tuple[int, tuple[core.JaxprEqn, ...]] | None:
    """The only dot_general that reads what the gather ``jaxpr.eqns[start]`` looks up.

    Returns its index, and the equations from the gather to it.
    """
    chain = [jaxpr.eqns[start]]
    while reader := _only_reader(jaxpr, chain[-1].outvars[0]):
        index, eqn = reader
        if eqn.primitive.name == "dot_general":
            return index, tuple(chain)
        if eqn.primitive.name not in _REARRANGING | {"convert_element_type"}:
            return None
        chain.append(eqn)
    return None


def _only_reader(jaxpr: core.Jaxpr, made: Any) -> tuple[int, core.JaxprEqn] | None:
    readers = [pair for pair in enumerate(jaxpr.eqns) if made in variables(pair[1].invars)]
    if len(readers) != 1 or made in variables(jaxpr.outvars):
        return None
    return readers[0]


def others_of(eqns: Sequence[core.JaxprEqn], inputs: Iterable[Any]) -> tuple[Any, ...]:
    """The variables that ``eqns`` read, beside ``inputs`` and what they make themselves."""
    known = {*inputs, *(out for eqn in eqns for out in eqn.outvars)}
    read = dict.fromkeys(atom for eqn in eqns for atom in eqn.invars if _is_variable(atom))
    return tuple(atom for atom in read if atom not in known)


def _is_variable(atom: Any) -> bool:
    return not isinstance(atom, core.Literal)


def contraction_then_bias(
    jaxpr: core.Jaxpr, start: int, is_bias: Callable[[Any], bool]
) -> tuple[int, tuple[core.JaxprEqn, ...]]:
    """Where the pre-activation of the contraction ``jaxpr.eqns[start]`` is complete.

    Returns the index of the equation that adds a bias to it, or ``start`` where none does, and
    the equations that lead from the operands to the term the bias is added to.
    """
    chain = [jaxpr.eqns[start]]
    while True:
        found = _only_reader(jaxpr, chain[-1].outvars[0])
        if found is None:
            break
        index, reader = found
        name = reader.primitive.name
        if name in ("add", "add_any") and any(is_bias(atom) for atom in reader.invars):
            return index, tuple(chain)
        if name not in _REARRANGING | {"convert_element_type"}:
            break
        chain.append(reader)
    return start, (jaxpr.eqns[start],)


def activation_after(jaxpr: core.Jaxpr, s: Any) -> tuple[Callable[..., Any] | None, bool]:
    """The elementwise function that everything above ``s`` sees, and whether one equation does.

    It is made of the equations that depend on ``s`` and constants alone, element by element. None
    where they only scale or rearrange, lead to two different functions, or where something sees
    ``s`` itself too: a normalisation, a sum of it with its function.
    """
    constant: set[Any] = set()
    of_s = {s}
    eqns = []
    for eqn in jaxpr.eqns:
        read = variables(eqn.invars)
        if not read and eqn.primitive.name in _ELEMENTWISE | {"broadcast_in_dim"}:
            constant.update(eqn.outvars)
            eqns.append(eqn)
        elif read and read <= constant | of_s and _is_elementwise(eqn):
            (constant if read <= constant else of_s).update(eqn.outvars)
            eqns.append(eqn)
    chosen = set(map(id, eqns))
    seen = variables(jaxpr.outvars).union(
        *(variables(eqn.invars) for eqn in jaxpr.eqns if id(eqn) not in chosen)
    )
    results = of_s & seen
    if s in results:
        return None, False
    if len(results) != 1:
        eqns = _common_beginning(eqns, s)
        results = {eqns[-1].outvars[0]} if eqns else set()
    linear = all(eqn.primitive.name in _LINEAR for eqn in eqns if not constant & set(eqn.outvars))
    if linear or not results:
        return None, False
    (z,) = results
    chosen = set(map(id, eqns))
    uses = sum(z in variables(eqn.invars) for eqn in jaxpr.eqns if id(eqn) not in chosen)
    return function(eqns, (s,), z), uses + list(jaxpr.outvars).count(z) == 1


def _common_beginning(eqns: Sequence[core.JaxprEqn], s: Any) -> list[core.JaxprEqn]:
    """Those of ``eqns`` that all ways from ``s`` begin with: the sigmoid of a gate g and 1 - g."""
    beginning: list[core.JaxprEqn] = []
    value = s
    while True:
        readers = [eqn for eqn in eqns if value in variables(eqn.invars)]
        if len(readers) != 1 or variables(readers[0].invars) != {value}:
            return beginning
        beginning.append(readers[0])
        value = readers[0].outvars[0]


def _is_elementwise(eqn: core.JaxprEqn) -> bool:
    return eqn.primitive.name in _ELEMENTWISE and all(
        _is_elementwise(inner) or _spreads_a_number(inner)
        for closed in inside(eqn)
        for inner in closed.jaxpr.eqns
    )


def _spreads_a_number(eqn: core.JaxprEqn) -> bool:
    read: Any = eqn.invars[0].aval
    return eqn.primitive.name == "broadcast_in_dim" and read.size == 1
