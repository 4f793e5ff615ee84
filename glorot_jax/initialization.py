"""Schemes for a whole network: every initialiser of kernels, and schemes that do more than that."""

import inspect
import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers

from glorot_jax import dotted
from glorot_jax.initializers import INITIALIZERS, Initializer, gaussian, standard
from glorot_jax.keys import named
from glorot_jax.network import MLP, Params, init, layer_names

# (model, key, x [n, inputs]) -> params; x are training examples, which most schemes ignore.
InitScheme = Callable[[MLP, jax.Array, jax.Array], Params]

LSUV_TOLERANCE = 0.01  # of the variance; the paper's 0.1 would do for training
LSUV_ITERATIONS = 10


def from_initializer(initializer: Initializer, model: MLP, key: jax.Array, x: jax.Array) -> Params:
    """Kernels drawn by ``initializer``, biases 0."""
    return init(model.clone(kernel_init=initializer), key, x.shape[-1])


def pytorch(model: MLP, key: jax.Array, x: jax.Array) -> Params:
    """The default of PyTorch's ``nn.Linear``: kernel and bias U[-1/sqrt(n_in), 1/sqrt(n_in)].

    The kernels are those of ``standard`` from the same key.
    """
    params = from_initializer(standard(), model, key, x)
    return _with_biases(params, key, lambda fan_in: fan_in**-0.5)


def uniform(
    kernel_variance: float, bias_variance: float, model: MLP, key: jax.Array, x: jax.Array
) -> Params:
    """Uniform kernels and biases of any variance: n_in Var[W] and Var[b], in every layer.

    The kernels of (1/3, 0) are those of ``standard`` from the same key; biases of one key differ
    between variances by a factor only.
    """
    kernels = jax_initializers.variance_scaling(kernel_variance, "fan_in", "uniform")
    params = from_initializer(kernels, model, key, x)
    return _with_biases(params, key, lambda fan_in: math.sqrt(3 * bias_variance))


def _with_biases(params: Params, key: jax.Array, bound: Callable[[int], float]) -> Params:
    """``params`` with every bias uniform in +-``bound(fan_in)``."""

    def with_bias(index: int, kernel: jax.Array) -> dict[str, jax.Array]:
        fan_in, units = kernel.shape
        reach = bound(fan_in)
        bias = jax.random.uniform(named(key, "bias", index), (units,), minval=-reach, maxval=reach)
        return {"kernel": kernel, "bias": bias}

    names = layer_names(len(params) - 1)
    return {name: with_bias(index, params[name]["kernel"]) for index, name in enumerate(names)}


def lsuv(model: MLP, key: jax.Array, x: jax.Array) -> Params:
    """Layer-sequential unit-variance: Mishkin & Matas, "All you need is a good init" (2016).

    Kernels start orthonormal; then, from the input upwards and the output layer included, each is
    divided by the standard deviation of s = z W over units and the examples x until Var[s] is 1.
    A layer whose s never varies keeps its kernel. Biases 0.
    """
    params = from_initializer(INITIALIZERS["orthogonal"](), model, key, x)
    z, scaled = x, {}
    for name in layer_names(len(model.widths)):
        kernel = _unit_variance(params[name]["kernel"], z)
        scaled[name] = {**params[name], "kernel": kernel}
        z = model.activation(z @ kernel)
    return scaled


def _unit_variance(kernel: jax.Array, z: jax.Array) -> jax.Array:
    """``kernel`` scaled until the variance of z W is 1 (their algorithm 1)."""

    def variance(kernel: jax.Array) -> jax.Array:
        return jnp.var(z @ kernel)

    def unfinished(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        _, current, iteration = state
        off = jnp.abs(current - 1) >= LSUV_TOLERANCE
        return off & (current > 0) & (iteration < LSUV_ITERATIONS)

    def rescale(
        state: tuple[jax.Array, jax.Array, jax.Array],
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        kernel, current, iteration = state
        kernel = kernel / jnp.sqrt(current)
        return kernel, variance(kernel), iteration + 1

    begin = (kernel, variance(kernel), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(unfinished, rescale, begin)[0]


_WHOLE: dict[str, InitScheme] = {"pytorch": pytorch, "lsuv": lsuv}
DATA_DEPENDENT = ("lsuv",)
SCHEME_NAMES: tuple[str, ...] = (*INITIALIZERS, *_WHOLE)

_GAUSSIAN = re.compile(r"gaussian\((.*)\)")
_UNIFORM = re.compile(r"uniform\((.*)\)")


@cache
def scheme(name: str) -> InitScheme:
    """The scheme called ``name``, the same function every time.

    ``name`` is one of ``SCHEME_NAMES``, ``gaussian(<stddev>)`` for another scale,
    ``uniform(<n Var[W]>,<Var[b]>)`` for uniform kernels and biases, or the dotted path
    ``package.module:name`` of your own initialiser: a function ``(key, shape, dtype) -> Array`` as
    in ``jax.nn.initializers``, or a factory without arguments that returns one. It must be
    traceable by JAX.

    Raises:
      ValueError: there is no such scheme, or what the path names is not an initialiser.
    """
    if name in _WHOLE:
        return _WHOLE[name]
    if variances := uniform_variances(name):
        return partial(uniform, *variances)
    return partial(from_initializer, _initializer(name))


@cache
def depends_on_key(name: str) -> bool:
    """Whether the scheme called ``name`` draws other kernels from another key.

    >>> depends_on_key("orthogonal"), depends_on_key("jax.nn.initializers:ones")
    (True, False)

    Raises:
      ValueError: as ``scheme``.
    """
    model, x = MLP((3,), 2), jnp.ones((4, 5)) * jnp.arange(4.0)[:, None]
    drawn = [draw(name, model, jax.random.key(seed), x) for seed in (0, 1)]
    pairs = zip(*map(jax.tree.leaves, drawn), strict=True)
    return not all(jnp.array_equal(one, other) for one, other in pairs)


def uniform_variances(name: str) -> tuple[float, float] | None:
    """(n Var[W], Var[b]) of the scheme ``uniform(<n Var[W]>,<Var[b]>)``, None of any other name.

    Numbers may be fractions.

    >>> uniform_variances("uniform(1/4,0.03)")
    (0.25, 0.03)

    Raises:
      ValueError: they aren't a positive number and one that isn't negative.
    """
    match = _UNIFORM.fullmatch(name)
    if match is None:
        return None
    try:
        kernels, biases = (float(Fraction(word)) for word in match[1].split(","))
    except (ValueError, ZeroDivisionError):
        kernels, biases = math.nan, math.nan
    if not (0 < kernels < math.inf and 0 <= biases < math.inf):
        raise ValueError(
            f"{name}: {match[1] or 'nothing'} is not a positive n Var[W] and a Var[b] of at least "
            "0, as in uniform(1/3,0.003)"
        )
    return kernels, biases


def draw(name: str, model: MLP, key: jax.Array, x: jax.Array) -> Params:
    """Parameters of ``model`` by the scheme ``name``, as one program.

    ``x`` [n, inputs] are training examples, of which all but ``DATA_DEPENDENT`` schemes see the
    number of inputs only.

    Raises:
      ValueError: as ``scheme``.
    """
    if name not in DATA_DEPENDENT:
        # The activation has no part then, nor have the examples: fewer programs to compile.
        model, x = MLP(tuple(model.widths), model.classes), x[:1]
    return _draw(scheme(name), model, key, x)


# An eager draw could alias arrays that are donated later; a jitted one does not.
@partial(jax.jit, static_argnums=(0, 1))
def _draw(begin: InitScheme, model: MLP, key: jax.Array, x: jax.Array) -> Params:
    return begin(model, key, x)


def _initializer(name: str) -> Initializer:
    if name in INITIALIZERS:
        return INITIALIZERS[name]()
    if dotted.is_path(name):
        return _users_own(name)
    if scale := _GAUSSIAN.fullmatch(name):
        return _checked(name, _gaussian(name, scale[1]))
    raise ValueError(
        f"{name}: is not one of {', '.join(SCHEME_NAMES)}, gaussian(<stddev>), "
        "uniform(<n Var[W]>,<Var[b]>) or package.module:name"
    )


def _gaussian(name: str, stddev: str) -> Initializer:
    try:
        number = float(stddev)
    except ValueError:
        number = 0.0
    limits = jnp.finfo(jnp.float32)
    if not float(limits.tiny) <= number <= float(limits.max):
        raise ValueError(f"{name}: {stddev or 'nothing'} is not a positive number of float32")
    return gaussian(number)


def _users_own(path: str) -> Initializer:
    function = dotted.load(path)
    if _accepts(function, 0):
        try:
            function = function()
        except dotted.FAILURES as error:
            raise ValueError(f"{path}: fails when called ({dotted.reason(error)})") from error
    if not _accepts(function, 3):
        raise ValueError(
            f"{path}: is neither a function (key, shape, dtype) nor a factory () of one"
        )
    return _checked(path, function)


def _accepts(function: object, arguments: int) -> bool:
    """Whether ``function`` can be called with that many positional arguments."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*range(arguments))
    except (TypeError, ValueError):  # it can't, or it is a builtin that doesn't say
        return False
    return True


def _checked(name: str, initializer: Initializer) -> Initializer:
    """``initializer``, once it has drawn a small kernel as it should."""
    shape, key = (5, 3), jax.random.key(0)

    def draw(key: jax.Array) -> jax.Array:
        return initializer(key, shape, jnp.float32)

    try:
        made = jax.eval_shape(draw, key)
        if not dotted.is_array(made, shape, jnp.float32):
            raise TypeError(f"returns {made}")
        finite = jnp.all(jnp.isfinite(jax.jit(draw)(key)))
    except dotted.FAILURES as error:
        raise ValueError(
            f"{name}: fails for a float32 kernel of shape {shape} ({dotted.reason(error)})"
        ) from error
    if not finite:
        raise ValueError(f"{name}: draws numbers that are not finite")
    return initializer
