"""Nets of several widths, trained a little: how their signals grow with width."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any, TypeAlias

import jax
import numpy as np
import optax

from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.coordinates import CoordinateRow, Learner, coordinates
from glorot_jax.diagnosis.measuring.examination import differentiable, mean_cost
from glorot_jax.diagnosis.reporting.coordinate_report import CoordinateCheck, Sizes, build_dataset
from glorot_jax.diagnosis.tracing.scores import expose_scores
from glorot_jax.dotted import reason
from glorot_jax.keys import named
from glorot_jax.losses import cross_entropy
from glorot_jax.typing import ApplyFn, InitFn, Loss, PyTree

Make: TypeAlias = Callable[[int], tuple[InitFn[Any], ApplyFn[Any]]]
"""A width to ``init`` and ``apply_fn`` of a model of that width."""
Optimizer: TypeAlias = optax.GradientTransformation | Callable[[int], optax.GradientTransformation]
"""One for every width, or a function of the width that returns one."""

WIDTHS = (64, 128, 256, 512, 1024, 2048)
LEAST_WIDTHS = 3
RATE = 1e-3


def coordinate_check(
    make: Make,
    widths: Sequence[int] = WIDTHS,
    *,
    x: PyTree,
    y: PyTree,
    loss: Loss = cross_entropy,
    optimizer: Optimizer | None = None,
    steps: int = 5,
    seeds: int = 5,
    key: jax.Array | None = None,
) -> CoordinateCheck:
    """How signals, and what updates do to them, grow with width, site by site.

    A net of each width takes ``steps`` updates on (x, y), ``seeds`` times, and the standard
    deviation of every site's s, of its change, and of what the site's own update adds to it is
    measured after each. A power of width is fitted to each: the least squares slope of log std on
    log width. Its 95% interval is Student's over seeds, each of which has a slope (other nets at
    every width); with one seed it is the regression's. The exponents are held against those of
    standard (SP), maximal-update (muP) and neural-tangent (NTK) parametrisation
    (``theory.parametrizations``); the faults say what differs from muP by more than 0.25, half of
    the way to the next exponent of theory, and what would mend it. One program is compiled a width.

    Args:
      make: width to ``(init, apply_fn)``, where ``init(key) -> params`` and
        ``apply_fn(params, x) -> outputs``. Sites are matched by name.
      widths: at least 3, increasing. What widens is yours: the fans of each site tell it.
      x: examples [n, ..], an array or a pytree of them. y: labels [n, ..] for ``loss``. 16 to 64
        examples that can be learnt are enough: the gradients of random labels cancel.
      loss: of (outputs, y), a cost per example [n].
      optimizer: any optax transformation, or a function of the width that returns one; by default
        Adam with a rate of 0.001 at every width.

    Raises:
      ValueError: as ``trace_with_costs`` does; ``widths``, ``steps`` or ``seeds`` are not as above;
        ``make`` or ``optimizer`` returns something else; a width has other sites than the first;
        a value isn't finite.

    Example:
      >>> def make(width):
      ...     def init(key):
      ...         first, last = jax.random.split(key)
      ...         return {
      ...             "first": jax.random.normal(first, (8, width)) * 8**-0.5,
      ...             "last": jax.random.normal(last, (width, 4)) * width**-0.5,
      ...         }
      ...     def apply_fn(params, x):
      ...         return jnp.tanh(x @ params["first"]) @ params["last"]
      ...     return init, apply_fn
      >>> x = jax.random.normal(jax.random.key(0), (16, 8))
      >>> check = coordinate_check(make, (32, 64, 128), x=x, y=jnp.argmax(x[:, :4], axis=1))
      >>> print(check.faults[-1].site, check.faults[-1].cure)
      last divide its learning rate by width
    """
    _check_numbers(widths, steps, seeds)
    key = jax.random.key(0) if key is None else key
    given = optax.adam(RATE) if optimizer is None else optimizer
    found: list[Sizes] = []
    rows: list[list[CoordinateRow]] = []
    for width in widths:
        learner = _learner(make, width, x, y, loss, given)
        keys = jax.random.split(named(key, "coordinate check", width), seeds)
        sizes = coordinates(learner, x, y, keys, steps=steps)
        by_label = {row.label: row for row in learner.rows()}
        first = list(by_label) if not rows else [row.label for row in rows[0]]
        _check_sites(first, list(by_label), widths[0], width)
        _check_finite([*by_label, "the outputs"], sizes, width)
        found.append(_in_order(sizes, list(by_label), first))
        rows.append([by_label[label] for label in first])
    return CoordinateCheck(build_dataset(found, rows, [int(width) for width in widths]))


def _check_numbers(widths: Sequence[int], steps: int, seeds: int) -> None:
    for name, number in (("steps", steps), ("seeds", seeds)):
        if not _is_positive(number):
            raise ValueError(f"{name}: {number} is not a positive whole number")
    given = ", ".join(map(str, widths))
    if len(widths) < LEAST_WIDTHS:
        raise ValueError(f"widths: {given or 'none'}: at least {LEAST_WIDTHS} make a slope")
    if not all(map(_is_positive, widths)):
        raise ValueError(f"widths: {given} are not all positive whole numbers")
    if any(one >= other for one, other in pairwise(widths)):
        raise ValueError(f"widths: {given} do not increase")


def _is_positive(number: Any) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool) and int(number) > 0


def _learner(
    make: Make, width: int, x: PyTree, y: PyTree, loss: Loss, optimizer: Optimizer
) -> Learner:
    """All that trains a net of ``width``, checked by its shapes alone."""
    init, apply_fn = _functions(make, width)
    transformation = _transformation(optimizer, width)
    try:
        params = jax.eval_shape(init, jax.random.key(0))
    except Exception as error:  # whatever the user's function raises
        raise ValueError(f"make: init fails at width {width} ({reason(error)})") from error
    traced = trace_with_costs(apply_fn, params, x, y, loss=loss)
    if not differentiable(mean_cost(apply_fn, loss), params, x, y):
        raise ValueError(f"make: apply_fn has no gradient in its parameters at width {width}")
    return Learner(*expose_scores(traced), init, apply_fn, loss, transformation)


def _functions(make: Make, width: int) -> tuple[InitFn[Any], ApplyFn[Any]]:
    try:
        made: Any = make(width)
    except Exception as error:  # whatever the user's function raises
        raise ValueError(f"make: fails at width {width} ({reason(error)})") from error
    if isinstance(made, tuple) and len(made) == 2 and all(map(callable, made)):
        return made
    kinds = type(made).__name__
    if isinstance(made, tuple):
        kinds = f"({', '.join(type(one).__name__ for one in made)})"
    wanted = "two functions (init, apply_fn)"
    raise ValueError(f"make: returns {kinds} at width {width}, not {wanted}")


def _transformation(optimizer: Optimizer, width: int) -> optax.GradientTransformation:
    made = optimizer
    if callable(optimizer) and not isinstance(optimizer, optax.GradientTransformation):
        try:
            made = optimizer(width)
        except Exception as error:  # whatever the user's function raises
            raise ValueError(f"optimizer: fails at width {width} ({reason(error)})") from error
    if not isinstance(made, optax.GradientTransformation):
        kind = type(made).__name__
        raise ValueError(f"optimizer: is of type {kind} at width {width}, not of optax")
    return made


def _check_sites(first: Sequence[str], these: Sequence[str], least: int, width: int) -> None:
    lost, new = (
        [a for a in one if a not in other] for one, other in ((first, these), (these, first))
    )
    if lost or new:
        parts = [f"without {', '.join(lost)}"] if lost else []
        parts += [f"with {', '.join(new)}"] if new else []
        said = " and ".join(parts)
        raise ValueError(f"make: width {width} is {said}, other than width {least}")


def _check_finite(labels: Sequence[str], sizes: Sizes, width: int) -> None:
    """Refuses infinite signals. A site that is NaN from the start is in a branch not taken."""
    s = sizes["s_std"]
    wrong = ~np.isfinite(s)
    wrong[..., :-1] &= ~np.isnan(s[..., :-1]).all(axis=(0, 1))
    if wrong.any():
        step, row, seed = np.argwhere(wrong.transpose(1, 2, 0))[0]
        raise ValueError(
            f"make: {labels[row]} is not finite at width {width}, step {step}, seed {seed}; "
            "a smaller learning rate may do"
        )


def _in_order(sizes: Sizes, labels: Sequence[str], wanted: Sequence[str]) -> Mapping[str, Any]:
    """The rows of ``labels`` in the order that is ``wanted``; what is of no row as it is."""
    order = [*(labels.index(label) for label in wanted), len(labels)]
    return {
        name: values if name == "response" else values[..., order[: values.shape[-1]]]
        for name, values in sizes.items()
    }
