"""How many examples, and which sites, singular values are found of in about the time of the rest.

What they take is counted in multiplications, so that every machine measures the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import jax
import numpy as np

from glorot_jax.diagnosis.measuring.end_to_end import COTANGENTS, by_example
from glorot_jax.diagnosis.measuring.lanczos import MATVECS, vectors_kept
from glorot_jax.diagnosis.measuring.site_jacobians import EXACT_UP_TO
from glorot_jax.diagnosis.tracing.layout import Site
from glorot_jax.diagnosis.tracing.sites import Traced

# About what a core multiplies while the rest is found of a small model.
LEAST = 4e10
PASSES = 4  # a forward pass, two backward ones, and each kernel's gradient by itself
FEWEST = 2  # examples
# As long as one multiplication with a vector out of memory, so many take in a product of matrices.
TRAFFIC = 15


@dataclass(frozen=True)
class Share:
    """``examples``, the first ones, of ``sites``, by their indices; ``whole``: examples of the
    Jacobian from input to output, found ``exactly`` or by random cotangents.
    """

    examples: int
    sites: tuple[int, ...]
    whole: int
    exactly: bool

    def left_out(self, traced: Traced) -> str:
        """What isn't all, in a line; empty where all is measured."""
        n, sites = traced.n, len(traced.sites)
        parts = []
        if self.examples < n:
            parts.append(f"{self.examples} of {n} examples")
        if len(self.sites) < sites:
            parts.append(f"{len(self.sites)} of {sites} sites")
        if not self.exactly:
            parts.append(f"input to output by {COTANGENTS} random directions")
        elif self.whole < n:
            parts.append(f"input to output by {self.whole} examples")
        if not parts:
            return ""
        return f"singular values: {', '.join(parts)}; spectra=True measures all"


def affordable(traced: Traced) -> Share:
    """The share of a model's singular values that takes about as long as its other numbers.

    Sites are left out only where not even two examples of all are to be had: then as many of each
    kind as there is time for, evenly spread, its first and last among them.
    """
    n = traced.n
    products = [_product(site) / n for site in traced.sites]
    budget = max(LEAST, PASSES * n * sum(products))
    costs = [
        _of_one_example(site, product, n)
        for site, product in zip(traced.sites, products, strict=True)
    ]
    sites = _spread(traced.layout.alike, costs, budget / FEWEST)
    outputs = jax.eval_shape(partial(by_example, n=n), traced.outputs).shape[1]
    exactly = outputs <= EXACT_UP_TO
    passes = outputs if exactly else COTANGENTS
    examples = budget / max(sum(costs[index] for index in sites), 1.0)
    whole = budget / max(2 * passes * sum(products), 1.0)
    return Share(_count(examples, n), sites, _count(whole, n), exactly)


def _count(affordable: float, n: int) -> int:
    return int(min(max(affordable, FEWEST), n))


def _product(site: Site) -> float:
    """Multiplications of one contraction of all examples, at all steps."""
    return float(site.fan_in * prod(site.s.shape) * prod(site.steps))


def _of_one_example(site: Site, product: float, n: int) -> float:
    """Multiplications that the singular values of one example take, at all steps."""
    inputs, outputs = (prod(a.shape) / n for a in (site.z, site.s))
    least = min(inputs, outputs)
    if least <= EXACT_UP_TO:
        return product * least
    # Each vector to all that are kept, by two products, twice.
    kept = vectors_kept(int(least), MATVECS)
    orthogonal = 4 * MATVECS * kept * (inputs + outputs) * prod(site.steps)
    return 2 * MATVECS * product + TRAFFIC * orthogonal


def _spread(
    kinds: Sequence[Sequence[int]], costs: Sequence[float], budget: float
) -> tuple[int, ...]:
    """All sites if the ``budget`` allows it, else an equal share of every kind."""
    share = min(1.0, budget / max(sum(costs), 1.0))
    chosen: list[int] = []
    for alike in kinds:
        count = min(len(alike), max(2, int(share * len(alike))))
        chosen += [alike[i] for i in np.linspace(0, len(alike) - 1, count).round().astype(int)]
    return tuple(sorted(set(chosen)))
