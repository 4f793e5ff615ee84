"""What a model is once planned: its sites, the rows that their steps are, and blocks to run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from glorot_jax.activations import Activation
from glorot_jax.diagnosis.arrays import Array, each, namespace
from glorot_jax.typing import PyTree

Kind: TypeAlias = Literal["dense", "convolution", "embedding"]
Role: TypeAlias = Literal["attention", "gate", "output"]

# Where in the program a site is, which also identifies it: the index of its equation, after the
# indices of those around it. None stands for the step of a scan.
Order: TypeAlias = tuple[int | None, ...]

T = TypeVar("T")


def parameters_of(name: str) -> tuple[str, ...]:
    """The paths of a site's parameters, of its ``name``: ``a+b #2`` is the second use of both.

    >>> parameters_of("a/w+b/w #2")
    ('a/w', 'b/w')
    """
    return tuple(name.split(" #")[0].split("+"))


@dataclass(frozen=True)
class Site:
    """One contraction of the signal with a parameter. Shapes are those of one step of its loops.

    ``name``: the parameter's path; paths joined by + where the kernel is made of several.
    ``kind``: dense, convolution or embedding. ``steps``: the lengths of the scans around it,
    outermost first; ``kernel_varies``: for each, whether the kernel differs from step to step.
    ``fan_in``, ``fan_out``: of one unit, in values. ``contract``: (z, kernel) to s before its
    bias; (z, kernel, *others) where ``others`` are read as well: which expert has which example.
    ``unit_axes``: the axes of s along which units differ, None where they are merged with others;
    along the rest a kernel is used again. ``uses``: of a convolution, along each axis of z, the
    share of the kernel's places that see each input, () along the examples and the channels.
    ``activation``: the elementwise function that everything above s sees, or None; ``used_once``:
    whether a single equation, or the output of a loop's step, sees it.
    ``order``: where in the program. ``z_axis``, ``s_axis``: the axis of the examples, None where
    it isn't known. ``differentiable``: whether dC/ds is known. ``bias``: what is added to the
    product, None without one.
    """

    name: str
    kind: Kind
    z: jax.ShapeDtypeStruct
    kernel: jax.ShapeDtypeStruct
    s: jax.ShapeDtypeStruct
    steps: tuple[int, ...]
    kernel_varies: tuple[bool, ...]
    fan_in: int
    fan_out: int
    contract: Callable[..., jax.Array]
    others: tuple[jax.ShapeDtypeStruct, ...]
    unit_axes: tuple[int, ...] | None
    activation: Callable[[jax.Array], jax.Array] | None
    used_once: bool
    order: Order
    bias: jax.ShapeDtypeStruct | None = None
    z_axis: int | None = None
    s_axis: int | None = None
    differentiable: bool = True
    uses: tuple[tuple[float, ...], ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """The paths of the parameters that the kernel is made of."""
        return parameters_of(self.name)

    @property
    def units(self) -> int:
        """How many units there are, each with weights of its own; 0 where that can't be told."""
        axes = self.unit_axes
        return 0 if axes is None else prod(self.s.shape[axis] for axis in axes)


@dataclass(frozen=True)
class Unreached:
    """A parameter, and what is not seen of it in words that follow its name."""

    name: str
    reason: str


@dataclass(frozen=True)
class SiteRow:
    """One site at one step of the scans around it; ``step`` is () outside scans."""

    name: str
    kind: Kind
    step: tuple[int, ...]
    fan_in: int
    fan_out: int
    units: int

    @property
    def parameters(self) -> tuple[str, ...]:
        """The paths of the parameters that the kernel is made of."""
        return parameters_of(self.name)

    @property
    def label(self) -> str:
        """The name with the step behind it: ``layers/w[3]``, ``layers/w[3, 1]`` in two scans."""
        return self.name + (f"[{', '.join(map(str, self.step))}]" if self.step else "")


@dataclass(frozen=True)
class SiteLayout:
    """The rows of ``sites``: one a site, and one a step inside scans, in the order of the program.

    Steps of a site are counted with the innermost scan fastest.
    """

    sites: tuple[Site, ...]

    @cached_property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Of each row, the index of its site and the count of its step."""
        flat = [
            (_position(site, step), (index, count))
            for index, site in enumerate(self.sites)
            for count, step in enumerate(step_indices(site))
        ]
        return tuple(place for _, place in sorted(flat, key=lambda pair: pair[0]))

    @cached_property
    def rows(self) -> tuple[SiteRow, ...]:
        """Each row's name, kind, step, fans and number of units."""
        return tuple(_row_of(self.sites[index], count) for index, count in self.places)

    @cached_property
    def order(self) -> np.ndarray:
        """[rows], which of (site 0 step 0, site 0 step 1, .., site 1 step 0, ..) each row is."""
        counts = [prod(site.steps) for site in self.sites]
        first = np.cumsum([0, *counts])
        return np.array([first[index] + count for index, count in self.places])

    @cached_property
    def rows_of(self) -> tuple[tuple[int, ...], ...]:
        """Of each site, the row of each of its steps."""
        found: list[dict[int, int]] = [{} for _ in self.sites]
        for row, (index, count) in enumerate(self.places):
            found[index][count] = row
        return tuple(tuple(row for _, row in sorted(steps.items())) for steps in found)

    @cached_property
    def alike(self) -> tuple[tuple[int, ...], ...]:
        """Indices of sites in groups that do the same equations on arrays of the same shapes."""
        groups: dict[Any, list[int]] = {}
        for index, site in enumerate(self.sites):
            groups.setdefault(_equations_of(site), []).append(index)
        return tuple(map(tuple, groups.values()))

    def to_rows(self, by_site: Sequence[PyTree]) -> PyTree:
        """Trees of arrays [steps of the site, ..], one a site, as one of arrays [rows, ..]."""

        def joined(*values: Array) -> Array:
            return namespace(values[0]).concatenate(values)[self.order]

        return jax.tree.map(joined, *by_site)

    def groups_to_rows(self, groups: Sequence[PyTree]) -> PyTree:
        """Trees of arrays [sites, steps, ..], one a group of ``alike``, as arrays [rows, ..]."""
        flat = [index for alike in self.alike for index in alike]
        starts = np.cumsum([0, *(prod(self.sites[index].steps) for index in flat)])
        first = dict(zip(flat, starts, strict=False))
        order = np.array([first[index] + count for index, count in self.places])

        def joined(*values: Array) -> Array:
            flat = [a.reshape(-1, *a.shape[2:]) for a in values]
            return namespace(flat[0]).concatenate(flat)[order]

        return jax.tree.map(joined, *groups)

    def repeat(self, by_site: Sequence[T]) -> tuple[T, ...]:
        """What is the same at each step of a site, once a row."""
        return tuple(by_site[index] for index, _ in self.places)


def _equations_of(site: Site) -> Any:
    """What two sites have in common if one program does for both."""
    contract = _program(site.contract, site.z, site.kernel, *site.others)
    activation = None if site.activation is None else _program(_with_slope(site.activation), site.s)
    shapes = (site.z, site.kernel, site.s, site.bias, *site.others)
    described = tuple(None if a is None else (a.shape, str(a.dtype)) for a in shapes)
    steps = (site.steps, site.kernel_varies, site.z_axis, site.s_axis)
    rest = (site.fan_in, site.unit_axes, site.differentiable)
    return (site.kind, described, steps, rest, contract, activation)


def _with_slope(activation: Activation) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """A custom derivative shows in the equations of the slope alone."""
    return lambda s: (activation(s), slope_of(activation, s))


def slope_of(activation: Activation, s: jax.Array) -> jax.Array:
    """f'(s), taken backwards, because a custom_vjp has no other derivative."""
    z, backward = jax.vjp(activation, s)
    return backward(jnp.ones_like(z))[0]


def _program(function: Callable[..., Any], *shapes: jax.ShapeDtypeStruct) -> Any:
    """The equations of a function as text, and the values of its constants."""
    # Without what they vary along in a shard_map, which is no part of the equations.
    plain = [jax.ShapeDtypeStruct(shape.shape, shape.dtype) for shape in shapes]
    closed = jax.make_jaxpr(function)(*plain)
    constants = tuple((np.shape(c), np.asarray(c).tobytes()) for c in closed.consts)
    return str(closed.jaxpr), constants


def _row_of(site: Site, count: int) -> SiteRow:
    step = step_indices(site)[count]
    return SiteRow(site.name, site.kind, step, site.fan_in, site.fan_out, site.units)


def step_indices(site: Site) -> list[tuple[int, ...]]:
    """The index of each step in the scans around ``site``; one without scans has a single one."""
    return list(product(*map(range, site.steps)))


def flat_steps(site: Site, values: Array) -> Array:
    """[*steps, ..] as [count of steps, ..]."""
    return values.reshape(prod(site.steps), *values.shape[len(site.steps) :])


def each_step(site: Site, measure: Callable[..., PyTree], kernel: Array, *values: PyTree) -> PyTree:
    """``measure(kernel, *values)`` at each step around ``site``, one after the other.

    ``values`` are trees of arrays [*steps, ..], ``kernel`` has only the axes it differs along.
    Returns arrays [count of steps, ..].
    """
    flat = jax.tree.map(lambda a: flat_steps(site, a), values)
    if prod(site.steps) == 1:
        one = jax.tree.map(lambda a: a[0], flat)
        alone = kernel.reshape(kernel.shape[sum(site.kernel_varies) :])
        return jax.tree.map(lambda a: a[None], measure(alone, *one))
    varying = [n for n, varies in zip(site.steps, site.kernel_varies, strict=True) if varies]
    kernels = kernel.reshape(prod(varying), *kernel.shape[len(varying) :])
    whose = namespace(kernel).asarray(_kernel_of_step(site))

    def one_step(step: Any) -> PyTree:
        which, at = step
        return measure(kernels[0] if len(kernels) == 1 else kernels[which], *at)

    return each(one_step, (whose, flat))


def _kernel_of_step(site: Site) -> np.ndarray:
    """[count of steps], which of the kernels each step has."""
    varying = [n if varies else 1 for n, varies in zip(site.steps, site.kernel_varies, strict=True)]
    which = np.arange(prod(varying), dtype=np.int32).reshape(varying)
    return np.broadcast_to(which, site.steps).reshape(-1)


def _position(site: Site, step: tuple[int, ...]) -> list[int]:
    steps = iter(step)
    return [next(steps) if index is None else index for index in site.order]


class Seen(NamedTuple):
    """The values of one site, steps first; ``kernel`` only has the steps it differs between.

    ``bias``: what is added to the product, shaped like s, or None. ``others``: what else it reads.
    """

    z: jax.Array
    s: jax.Array
    kernel: Any
    bias: Any
    others: tuple[jax.Array, ...] = ()


@dataclass(frozen=True)
class Exposed:
    """A site, and the variables of the equation that completes its s."""

    site: Order
    z: Any
    kernel: Any
    bias: Any
    others: tuple[Any, ...]


@dataclass(frozen=True)
class SoftmaxEquation:
    """A softmax of ``logits`` along ``axis``, complete at equation ``index`` of its function.

    ``role``: output, if it leaves the model as it is; attention, if it weighs other signals in a
    product; gate, if it is used otherwise.
    """

    index: int
    logits: Any
    axis: int
    role: Role


@dataclass(frozen=True)
class Block:
    """A flat function and what to do at its equations, by their indices.

    ``exposed``: equations that complete an s. ``inner``: the functions inside an equation that
    hold sites. ``sites``: all of them, inner ones too. ``shared``, of the body of a loop: the
    sites whose kernel is the same at each step. ``differentiable``: whether gradients are taken
    through its equations. ``stations``, ``softmaxes``: further
    equations that are exposed, under keys of their own.
    """

    closed: core.ClosedJaxpr
    exposed: dict[int, Exposed]
    inner: dict[int, tuple["Block", ...]]
    sites: tuple[Order, ...]
    shared: frozenset[Order] = frozenset()
    differentiable: bool = True
    stations: Mapping[int, tuple[Any, ...]] = field(default_factory=dict)
    softmaxes: Mapping[int, tuple[tuple[Any, ...], SoftmaxEquation]] = field(default_factory=dict)

    @cached_property
    def perturbed(self) -> frozenset[tuple[Any, ...]]:
        """Keys of all that perturbations are added to, inner sites and stations too."""
        within = [block.perturbed for blocks in self.inner.values() for block in blocks]
        return frozenset(self.sites).union(self.stations.values(), *within)
