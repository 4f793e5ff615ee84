"""What is asked of results: a group, one network in it, its values, its chosen learning rate."""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from experiments.data.registry import DATA_SETS, SHAPESET
from experiments.networks import NetworkSpec, read
from experiments.results.schema import find_group
from glorot_jax.confidence import Interval, mean_interval, spread_of_mean


class NotMeasured(LookupError):
    """The results don't hold what is asked for: why, in one line."""

    def __str__(self) -> str:
        return str(self.args[0])


# Groups


def needed(results: xr.DataTree, name: str, /) -> xr.Dataset:
    """The group ``name`` of results.

    Raises:
      NotMeasured: they don't hold it.
    """
    group = find_group(results, name)
    if group is None:
        raise NotMeasured(f"the results hold no part '{name}'")
    return group


def first_set(results: xr.DataTree, find: Callable[[xr.Dataset], Sequence], /) -> str | None:
    """The first data set, Shapeset before all, in whose group ``find`` finds anything."""
    groups = ((name, find_group(results, name)) for name in DATA_SETS)
    return next((name for name, group in groups if group is not None and find(group)), None)


def dataset_of(group: xr.Dataset, /) -> str:
    """The data set that a group is about, Shapeset where it doesn't say."""
    return str(group.attrs.get("dataset", SHAPESET))


def layers(group: xr.Dataset, /) -> list[int]:
    """Numbers of the hidden layers, 1 at the input."""
    return [i + 1 for i in range(group.sizes["layer"])]


# Networks in a group


def network(group: xr.Dataset, spec: NetworkSpec, /) -> xr.Dataset:
    """What was measured of one of the group's networks, NaN above its own layers.

    Raises:
      NotMeasured: ``group`` doesn't hold it.
    """
    specs = read(group)
    if spec not in specs:
        raise NotMeasured(f"no {spec.name} net in the results")
    return group.isel(condition=specs.index(spec))


def of(group: xr.Dataset, name: str, spec: NetworkSpec, /) -> np.ndarray:
    """Variable ``name`` of one network, axes as in the group without ``condition``."""
    return np.asarray(network(group[[name]], spec)[name].values, np.float64)


def mean_singular_values(net: xr.Dataset, /) -> np.ndarray:
    """Of each layer's Jacobians, [seed, layer]: the mean over the seed's examples and all ranks.

    Results that hold no such mean have that of the few examples whose spectra are exact.
    """
    if "singular_value_mean" in net.variables:
        return values(net, "singular_value_mean", "seed", "layer")
    exact = values(net, "singular_value", "seed", "layer", "example", "rank")
    return mean_interval(exact.reshape(*exact.shape[:2], -1), axis=-1).mean


def is_known(group: xr.Dataset, name: str, spec: NetworkSpec, /) -> bool:
    """Whether ``name`` has any number there; where every member diverged it has none."""
    return name in group.variables and bool(np.isfinite(of(group, name, spec)).any())


def select(
    group: xr.Dataset | None, activation: str, scheme: str = "standard", /, *, known: str
) -> list[NetworkSpec]:
    """Plain networks of that unit and scheme, deepest first, whose variable ``known`` is known."""
    if group is None or known not in group.variables:
        return []
    specs = [
        spec
        for spec in read(group)
        if spec.kind == (activation, scheme) and spec.plain and is_known(group, known, spec)
    ]
    return sorted(specs, key=lambda spec: -spec.depth)


def condition(
    group: xr.Dataset,
    activation: str,
    scheme: str,
    /,
    *,
    depth: int | None = None,
    **options: str,
) -> xr.Dataset:
    """The network asked for, its own layers only; of several depths, the deepest.

    Args:
      options: optimizer, shape and loss where they aren't the paper's.

    Raises:
      NotMeasured: ``group`` doesn't hold it.
    """
    wanted = NetworkSpec(activation, scheme).replace(**options)
    specs = read(group) if "condition" in group.sizes else []
    same = [spec for spec in specs if spec.replace(depth=wanted.depth) == wanted]
    same = [spec for spec in same if depth in (None, spec.depth)]
    if not same:
        deep = "" if depth is None else f" of {depth} layers"
        unusual = "".join(f", {name} {value}" for name, value in wanted.unusual.items())
        raise NotMeasured(
            f"no {activation} net with {scheme} initialisation{deep}{unusual} in the results"
        )
    deepest = max(same, key=lambda spec: spec.depth)
    measured = group.isel(condition=specs.index(deepest))
    own = "layer" in group.dims and "depth" in group.coords
    return measured.isel(layer=slice(0, deepest.depth)) if own else measured


# Values of one network


def values(measured: xr.Dataset, name: str, /, *dims: str) -> np.ndarray:
    """Variable ``name`` as a float array with its axes in the order ``dims``.

    Raises:
      NotMeasured: it isn't there, or it has other dimensions.
    """
    if name not in measured or set(measured[name].dims) != set(dims):
        raise NotMeasured(f"the results hold no '{name}' by {', '.join(dims)}")
    return measured[name].transpose(*dims).values.astype(np.float64)


def chosen_rate(measured: xr.Dataset, /) -> int | None:
    """Where the network's chosen learning rate stands; None if every rate diverged."""
    chosen = float(values(measured, "chosen_learning_rate"))
    if not np.isfinite(chosen):
        return None
    return nearest(values(measured, "learning_rate", "learning_rate"), chosen)


def at_chosen_rate(measured: xr.Dataset, name: str, /, *dims: str) -> np.ndarray:
    """One network's ``name`` at its chosen learning rate, axes ``dims``, by default [seed, update].

    Raises:
      NotMeasured: every rate diverged, or ``name`` isn't there.
    """
    rate = chosen_rate(measured)
    if rate is None:
        raise NotMeasured(f"every learning rate of {measured.coords['condition'].item()} diverged")
    return values(measured, name, "learning_rate", *(dims or ("seed", "update")))[rate]


def final_error(net: xr.Dataset, /) -> np.ndarray:
    """What one network gets wrong at the end, [seed, example] of the test set that its seeds share.

    NaN where every rate diverged; [seed], each seed's share, where the results hold no more.
    """
    error = values(net, "final_test_error", "seed")
    if "final_test_wrong" not in net:
        return error
    wrong = values(net, "final_test_wrong", "seed", "example")
    return np.where(np.isfinite(error)[:, None], wrong, np.nan)


def final_percent(net: xr.Dataset, /) -> Interval:
    """Mean and t interval of one network's final test error in %, over seeds and test examples."""
    wrong = 100 * final_error(net)
    if len(wrong) < 2 or not np.isfinite(wrong).all():
        return mean_interval(wrong.reshape(len(wrong), -1).mean(axis=1), axis=0)
    return Interval(np.mean(wrong), np.asarray(spread_of_mean(wrong).half()))


def nearest(values_of: np.ndarray, value: float, /) -> int:
    """Where the entry nearest to ``value`` stands: rates are saved as 32-bit floats."""
    return int(np.argmin(np.abs(np.asarray(values_of, np.float64) - value)))
