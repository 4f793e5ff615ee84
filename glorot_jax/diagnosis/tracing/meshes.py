"""Measuring over a mesh: axes whose sharding is in an array's type, and axes of a shard_map."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

T = TypeVar("T")
P = ParamSpec("P")


def by_compiler(measure: Callable[..., T], /, *args: Any) -> T:
    """``measure(*args)``, small arrays, with the sharding of every value left to the compiler.

    ``jax.make_mesh`` makes axes of the explicit kind, under which a model runs and sorting,
    reshaping and the like ask for shardings by name. The results are on every device.
    """
    arrays = [leaf for leaf in jax.tree.leaves(args) if isinstance(leaf, jax.Array)]
    meshes = [jax.typeof(leaf).sharding.mesh for leaf in arrays]
    mesh = next((mesh for mesh in meshes if AxisType.Explicit in mesh.axis_types), None)
    if mesh is None:
        return measure(*args)
    whole = NamedSharding(mesh, PartitionSpec())
    return jax.sharding.auto_axes(measure, out_sharding=whole)(*args)


def shape_of(like: Any, shape: tuple[int, ...] | None = None, dtype: Any = None) -> Any:
    """The shape of an array, tracer or variable, with what it varies along inside a shard_map."""
    aval = like if hasattr(like, "manual_axis_type") else jax.typeof(like)
    return jax.ShapeDtypeStruct(
        aval.shape if shape is None else shape,
        aval.dtype if dtype is None else dtype,
        manual_axis_type=aval.manual_axis_type,
    )


def filled(like: jax.ShapeDtypeStruct, value: complex = 0) -> jax.Array:
    """``value`` in the shape and type of ``like``, a ``shape_of``.

    Inside a shard_map it varies along the axes that ``like`` varies along: the derivative by
    something that doesn't vary would be a sum over devices. The axes of a shard_map inside the
    model aren't there outside of it.
    """
    values = jnp.full(like.shape, value, like.dtype)
    along = like.manual_axis_type.varying if like.manual_axis_type else ()
    varying = tuple(set(along) & set(jax.sharding.get_abstract_mesh().manual_axes))
    return jax.lax.pcast(values, varying, to="varying") if varying else values


def placed_by_compiler(tree: Any, /) -> Any:
    """The same arrays on the same devices, over meshes with no explicit axes."""
    return jax.tree.map(_automatic, tree)


def _automatic(leaf: Any) -> Any:
    sharding = getattr(leaf, "sharding", None)
    if isinstance(leaf, jax.core.Tracer) or not isinstance(sharding, NamedSharding):
        return leaf
    mesh = sharding.mesh
    if AxisType.Explicit not in mesh.axis_types:
        return leaf
    return jax.device_put(leaf, NamedSharding(_with_no_explicit_axes(mesh), sharding.spec))


def over_automatic_mesh(function: Callable[P, T]) -> Callable[P, T]:
    """``function`` of arrays that are ``placed_by_compiler``, whatever ``jax.set_mesh`` has set."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        mesh = jax.sharding.get_mesh()
        if AxisType.Explicit not in mesh.axis_types:
            return function(*args, **kwargs)
        with jax.set_mesh(_with_no_explicit_axes(mesh)):
            return function(*args, **kwargs)

    return call


def _with_no_explicit_axes(mesh: Any) -> Mesh:
    kinds = (AxisType.Auto,) * len(mesh.axis_names)
    return Mesh(mesh.devices, mesh.axis_names, axis_types=kinds)
