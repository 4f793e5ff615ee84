"""Where a model's signal meets its parameters: every contraction of the two, found by tracing.

A model is a function ``apply_fn(params, x) -> outputs``. Its equations say which values come from
``x``, the signal, and which from leaves of ``params`` alone. Wherever a kernel or an embedding
table of the second sort meets the first there is a site: an input z, a kernel W and a
pre-activation s = z W, plus a bias where one is added.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from glorot_jax.diagnosis.tracing.layout import Block, Site, SiteLayout, SiteRow, Unreached
from glorot_jax.diagnosis.tracing.meshes import filled, shape_of
from glorot_jax.diagnosis.tracing.plan import Draft, plan
from glorot_jax.diagnosis.tracing.run import run_block
from glorot_jax.dotted import reason
from glorot_jax.typing import ApplyFn, PyTree


class Signals(NamedTuple):
    """One forward pass: ``outputs`` as the model returns them, one array a site of all the rest.

    Their shapes are the site's, after one axis for each scan around it; ``kernels`` have that axis
    only where the kernel differs from step to step. ``biases`` are shaped like s, or None.
    ``others``: what each site's ``contract`` reads beside z and kernel.
    """

    outputs: PyTree
    z: tuple[jax.Array, ...]
    s: tuple[jax.Array, ...]
    kernels: tuple[jax.Array, ...]
    biases: tuple[jax.Array | None, ...]
    others: tuple[tuple[jax.Array, ...], ...]


@dataclass(frozen=True)
class Traced:
    """A model, for parameters and examples of given shapes, with its sites exposed.

    ``layout``: the sites, and the rows their steps are. ``unreached``: what isn't seen, or is less
    than it seems. ``outputs``: a pytree of their shapes. ``n``: how many examples there are.
    ``structure`` and ``inputs``: of (params, x), the pytree and each leaf's name and shape.
    """

    layout: SiteLayout
    unreached: tuple[Unreached, ...]
    outputs: PyTree
    n: int
    block: Block
    structure: Any
    inputs: tuple[tuple[str, jax.ShapeDtypeStruct], ...]

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every site, in the order of the program."""
        return self.layout.sites

    def rows(self) -> tuple[SiteRow, ...]:
        """One row a site and step, in the order of the program; a scan's steps by their index."""
        return self.layout.rows

    def perturbations(self) -> tuple[jax.Array, ...]:
        """Zeros shaped like each s, the steps of the scans around it first."""
        return tuple(filled(shape_of(site.s, (*site.steps, *site.s.shape))) for site in self.sites)

    def run(
        self, params: PyTree, x: PyTree, perturbations: Sequence[jax.Array] | None = None
    ) -> Signals:
        """The model's outputs with z, s and kernel of each site.

        ``perturbations[i]`` is added to s[i]; the gradient of a cost with respect to those of
        zeros is dC/ds. Outputs and their derivatives are the model's own. Pure, for ``jit`` and
        ``vmap``.

        Raises:
          ValueError: params, x or perturbations aren't shaped as those traced.
        """
        self.check(params, x)
        zeros = self.perturbations()
        given = zeros if perturbations is None else tuple(perturbations)
        if [_described(one) for one in given] != [_described(one) for one in zeros]:
            raise ValueError("perturbations: are not shaped like those of Traced.perturbations()")
        return self.expose(params, x, given, {})[0]

    def expose(
        self,
        params: PyTree,
        x: PyTree,
        perturbations: Sequence[jax.Array],
        stations: Mapping[tuple[Any, ...], jax.Array],
    ) -> tuple[Signals, Mapping[tuple[Any, ...], Any]]:
        """``run``, and by key what else the block exposes.

        ``stations``: their perturbations, by key.
        """
        order = [site.order for site in self.sites]
        leaves = jax.tree.leaves((params, x))
        given = {**dict(zip(order, perturbations, strict=True)), **stations}
        outputs, seen = run_block(self.block, leaves, given)
        z, s, kernels, biases, others = zip(*(seen[place] for place in order), strict=True)
        made = jax.tree.unflatten(jax.tree.structure(self.outputs), outputs)
        return Signals(made, z, s, kernels, biases, others), seen

    def check(self, params: PyTree, x: PyTree) -> None:
        """Raises ValueError where params or x aren't shaped as those traced."""
        leaves, structure = jax.tree.flatten((params, x))
        if structure != self.structure:
            raise ValueError("params, x: are not the pytrees that were traced")
        for (name, traced), leaf in zip(self.inputs, leaves, strict=True):
            if _described(leaf) != _described(traced):
                raise ValueError(f"{name}: is {_described(leaf)}, traced as {_described(traced)}")


def trace(
    apply_fn: ApplyFn[Any],
    params: PyTree,
    x: PyTree,
    /,
    *,
    n: int | None = None,
    signal: Sequence[str] = (),
) -> Traced:
    """Every site of a model ``apply_fn(params, x) -> outputs``, for examples x [n, ..].

    ``params`` is a pytree of arrays, ``x`` an array or a pytree of them; sites depend on their
    shapes alone. Outputs are an array [n, ..], or any pytree that a loss takes. Sites are found
    inside jit, remat, scan, while, vmap, the branches of a cond, a shard_map over one device, and
    custom_jvp and custom_vjp functions. ``Traced.unreached`` names what can't be seen; a product
    written as a sum of elementwise ones, or a kernel computed from the signal, isn't noticed at
    all.

    ``n``: the number of examples, where the arrays of x are of several lengths, as those of a
    batch of graphs are. ``signal``: parameters, by their paths, that count as signal: latents or
    queries that layers are applied to before they meet x.

    Raises:
      ValueError: apply_fn is no function; ``signal`` names no parameter; params or x hold
        something that isn't an array or isn't finite; x has fewer than 2 examples, or arrays of
        several lengths without ``n``; the model fails, returns nothing of a float type or one
        array without the axis of the examples, or never contracts x with a parameter.
    """
    if not callable(apply_fn):
        kind = type(apply_fn).__name__
        raise ValueError(
            f"apply_fn: is of type {kind}, not a function; the order is apply_fn, params, x"
        )
    inputs = _inputs(params, x)
    names = [name for name, _ in inputs[: len(jax.tree.leaves(params))]]
    for name in signal:
        if name not in names:
            raise ValueError(f"signal: {name} is not one of the parameters {', '.join(names)}")
    count = _examples(x) if n is None else n
    outputs, closed = _equations(apply_fn, params, x, count if n is None else None)
    again = partial(plan, names=names, signal=signal)
    block, draft = again(closed)
    if not draft.sites:
        seen = "".join(f"; {one.name} {one.reason}" for one in draft.unreached)
        raise ValueError(f"apply_fn: no product of x with a parameter can be seen{seen}")
    draft = _with_example_axes(
        draft, partial(plan, names=names, signal=signal), apply_fn, params, x, count
    )
    sites = sorted(draft.sites, key=lambda site: [index or 0 for index in site.order])
    layout = SiteLayout(_numbered(sites))
    structure = jax.tree.structure((params, x))
    return Traced(layout, tuple(draft.unreached), outputs, count, block, structure, inputs)


def _inputs(params: Any, x: Any) -> tuple[tuple[str, jax.ShapeDtypeStruct], ...]:
    """Name and shape of each leaf of params and x, all checked to be finite arrays."""
    for whole, tree in (("params", params), ("x", x)):
        if not jax.tree.leaves(tree):
            raise ValueError(f"{whole}: holds no arrays")
    return tuple(
        (name, _checked(whole, name, leaf))
        for whole, tree in (("params", params), ("x", x))
        for name, leaf in named_leaves(whole, tree)
    )


def named_leaves(whole: str, tree: Any) -> Iterator[tuple[str, Any]]:
    """Each leaf of ``tree`` and its path; ``whole`` is the name of a tree that is one leaf."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        # NNX keeps the array of a parameter one level down.
        name = jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value")
        yield name or whole, leaf


def _checked(whole: str, name: str, leaf: Any) -> jax.ShapeDtypeStruct:
    if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
        kind = type(leaf).__name__
        raise ValueError(
            f"{whole}: {name} is not an array but of type {kind}; "
            "equinox.partition or nnx.split separates what a model is made of"
        )
    known = not isinstance(leaf, (jax.core.Tracer, jax.ShapeDtypeStruct))
    inexact = jnp.issubdtype(leaf.dtype, jnp.inexact)
    # By NumPy, which compiles nothing and may look at a constant inside somebody's jit.
    if known and inexact and not np.isfinite(np.asarray(leaf)).all():
        raise ValueError(f"{whole}: {name} has values that are not finite")
    return shape_of(leaf)


def _examples(x: PyTree) -> int:
    sizes = {leaf.shape[0] if leaf.shape else 0 for leaf in jax.tree.leaves(x)}
    if len(sizes) > 1:
        raise ValueError(
            f"x: its arrays hold {sorted(sizes)} examples, not one number of them; n says how many"
        )
    (n,) = sizes
    if n < 2:
        raise ValueError(f"x: holds {n} examples; at least 2 are compared with each other")
    return n


def _equations(
    apply_fn: ApplyFn[Any], params: PyTree, x: PyTree, n: int | None
) -> tuple[PyTree, core.ClosedJaxpr]:
    """What ``apply_fn`` returns, checked to be outputs of ``n`` examples, and its equations."""
    try:
        closed, made = jax.make_jaxpr(apply_fn, return_shape=True)(params, x)
    except Exception as error:  # whatever the user's function raises
        given = ", ".join(_described(leaf) for leaf in jax.tree.leaves(x))
        raise ValueError(f"apply_fn: fails for x {given} ({reason(error)})") from error
    returned = ", ".join(_described(leaf) for leaf in jax.tree.leaves(made)) or "nothing"
    if not any(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in jax.tree.leaves(made)):
        raise ValueError(f"apply_fn: returns {returned}, not outputs of a float type")
    if n is not None and isinstance(made, jax.ShapeDtypeStruct) and made.shape[:1] != (n,):
        raise ValueError(f"apply_fn: returns {returned}, not one output for each of {n} examples")
    return made, closed


def _described(array: Any) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _with_example_axes(
    draft: Draft,
    again: Callable[[core.ClosedJaxpr], tuple[Block, Draft]],
    apply_fn: ApplyFn[Any],
    params: PyTree,
    x: PyTree,
    n: int,
) -> Draft:
    """The sites with the axis of the examples: the one that grows with more of them.

    One more; or twice as many, where only a multiple of something will do.
    """
    sites = list(draft.sites)
    for more in (1, n):
        try:
            longer_x = jax.tree.map(lambda leaf, more=more: _longer(leaf, n, more), x)
            _, longer = again(_equations(apply_fn, params, longer_x, None)[1])
            others = {other.order: other for other in longer.sites}
            sites = [_with_axes(site, others[site.order], more) for site in sites]
            break
        except (ValueError, KeyError):
            continue
    why = "shares the axis of its examples with something else: it has no cosine"
    mixed = dict.fromkeys(site.name for site in sites if site.s_axis is None)
    return Draft(sites, [*draft.unreached, *(Unreached(name, why) for name in mixed)])


def _longer(leaf: Any, n: int, more: int) -> jax.ShapeDtypeStruct:
    length = leaf.shape[:1]
    shape = (n + more, *leaf.shape[1:]) if length == (n,) else leaf.shape
    return shape_of(leaf, shape)


def _with_axes(site: Site, longer: Site, more: int) -> Site:
    z_axis, s_axis = _grown(site.z, longer.z, more), _grown(site.s, longer.s, more)
    return replace(site, z_axis=z_axis, s_axis=s_axis)


def _grown(shape: jax.ShapeDtypeStruct, longer: jax.ShapeDtypeStruct, more: int) -> int | None:
    if len(shape.shape) != len(longer.shape):
        return None
    pairs = zip(shape.shape, longer.shape, strict=True)
    grown = [axis for axis, (size, other) in enumerate(pairs) if size != other]
    one = len(grown) == 1 and longer.shape[grown[0]] == shape.shape[grown[0]] + more
    return grown[0] if one else None


def _numbered(sites: Sequence[Site]) -> tuple[Site, ...]:
    """The second and later uses of a parameter get #2, #3 .. after its name."""
    used: Counter[str] = Counter()
    numbered = []
    for site in sites:
        used[site.name] += 1
        number = f" #{used[site.name]}" if used[site.name] > 1 else ""
        numbered.append(replace(site, name=site.name + number))
    return tuple(numbered)
