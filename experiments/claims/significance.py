"""Which entries of a column of Table 1 differ from its best: the table's bold."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from experiments.claims.networks import NETWORKS
from experiments.claims.paper import PAPER_P
from experiments.claims.verdict import FEWEST_SEEDS, each_seed, seeds_needed
from experiments.networks import PAPER_DEPTH
from experiments.results.queries import NotMeasured, condition, final_error
from glorot_jax.confidence import spread_of_mean

TABLE_NETS = ("Softsign", "Softsign N", "Tanh", "Tanh N", "Sigmoid")
NO_SPREAD = 1e-6  # less than one example of any test set, more than float32 rounds by


@dataclass(frozen=True)
class Comparison:
    """One entry of a column: its ``mean`` over seeds, and how it compares with the ``best``.

    ``p`` is corrected for the number of comparisons, NaN for the best itself and where nothing can
    be tested; ``bold`` if it is the best or isn't shown to differ from it at p = 0.005.
    """

    mean: float
    p: float
    best: bool
    bold: bool


def column(group: xr.Dataset, /) -> dict[str, np.ndarray]:
    """Final test error of each of Table 1's nets in ``group``: 5 layers, plain SGD.

    Each as ``final_error`` gives it.
    """
    errors = {}
    for name in TABLE_NETS:
        try:
            net = condition(group, *NETWORKS[name].kind, depth=PAPER_DEPTH)
        except NotMeasured:
            continue
        errors[name] = final_error(net)
    return errors


def against_best(errors: Mapping[str, np.ndarray], /) -> dict[str, Comparison]:
    """Every entry of a column against the one of least mean; see ``against``."""
    finite = _finite(errors)
    best = min(finite, key=lambda name: float(np.mean(finite[name])), default=None)
    return against(errors, best)


def against(errors: Mapping[str, np.ndarray], best: str | None, /) -> dict[str, Comparison]:
    """Every entry of a column against the entry ``best``, by t-tests paired by seed.

    Paired, because the members of one seed see the same examples in the same order, start from the
    same random numbers and share the test set: what a seed does to all of them drops out of the
    difference. What is left of the shared test set's sampling error is in p where it is known which
    examples are wrong. Two-sided, p from Student's t with n - 1 degrees of freedom, or as
    ``spread_of_mean`` has them. One column makes as
    many comparisons as it has other entries, so p is corrected by Holm's method, which keeps the
    chance of calling any equal entry different at p = 0.005 for the column as a whole and, unlike
    Bonferroni's, doesn't give away power for the clear ones.

    Two limits. Where the best is chosen by the same numbers p is somewhat too small. Few seeds
    show little: a single comparison of 3 seeds needs abs(t) > 14.1 for p < 0.005, of 5 seeds 5.6,
    of 10 seeds 3.7; so bold means "not shown to be worse", not "as good".

    Args:
      errors: final test errors by entry, each [seed] or [seed, example], with the same seeds in the
        same order.

    Returns:
      A comparison for each entry. p is NaN with fewer than two seeds, and where the differences
      have no spread. An entry with a seed that has no finite error has mean NaN and isn't bold.

    Raises:
      ValueError: entries have different numbers of seeds.
    """
    arrays = {name: np.asarray(error, np.float64) for name, error in errors.items()}
    seeds = {len(error) for error in arrays.values()}
    if len(seeds) > 1:
        raise ValueError(f"errors: entries have {sorted(seeds)} seeds; all must have the same")
    finite = _finite(arrays)
    reference = finite.get(best) if best else None
    tested = {
        name: _paired_p(error, reference)
        for name, error in finite.items()
        if reference is not None and name != best
    }
    corrected = _holm({name: p for name, p in tested.items() if np.isfinite(p)})
    return {
        name: Comparison(
            mean=float(finite[name].mean()) if name in finite else np.nan,
            p=corrected.get(name, np.nan),
            best=name == best,
            bold=name in finite and not corrected.get(name, np.nan) < PAPER_P,
        )
        for name in arrays
    }


def any_differs(compared: Mapping[str, Comparison], /) -> bool:
    """Whether any entry of a column is shown to differ from its best; else bold says nothing."""
    return any(np.isfinite(entry.mean) and not entry.bold for entry in compared.values())


def seeds_to_differ(errors: Mapping[str, np.ndarray], /) -> int | None:
    """About how many seeds would show some entry of a column to differ from its best.

    By the spread seen, for the entry that takes the fewest; None where that are too many, or where
    nothing has a spread.
    """
    finite = _finite(errors)
    best = min(finite, key=lambda name: float(np.mean(finite[name])), default=None)
    counts = []
    for name in finite:
        difference = finite[name] - finite[best] if best and name != best else None
        if difference is None or np.ptp(each_seed(difference)) < NO_SPREAD:
            continue
        spread = spread_of_mean(difference)
        counts.append(
            seeds_needed(
                spread.from_seeds * len(difference),
                float(difference.mean()),
                confidence=1 - PAPER_P / (len(finite) - 1),
                remaining=spread.from_examples,
            )
        )
    return min((count for count in counts if count), default=None)


def _finite(errors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: e for name, e in errors.items() if np.size(e) and np.isfinite(e).all()}


def _paired_p(one: np.ndarray, other: np.ndarray) -> float:
    difference = one - other
    if len(difference) < FEWEST_SEEDS or np.ptp(each_seed(difference)) < NO_SPREAD:
        return np.nan
    return spread_of_mean(difference).p(float(difference.mean()))


def _holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction: the smallest p times how many there are, and so on up."""
    names = sorted(p, key=p.__getitem__)
    factors = np.arange(len(names), 0, -1)
    corrected = np.maximum.accumulate(factors * np.array([p[name] for name in names]))
    return {name: min(1.0, float(value)) for name, value in zip(names, corrected, strict=True)}
