"""Variance over the layers after ``calibrate`` and after anyinit 0.4, side by side.

  pip install --no-deps anyinit==0.4.0
  python -m benchmarks.calibration

Both get the same model and the same 256 standard normal examples; Var[s] of each layer is then
measured on 1024 others. The project scales what Linen or NNX have drawn, anyinit draws anew.
"""

import itertools
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags
from flax import linen as nn
from flax import nnx

from glorot_jax.diagnosis.mending.calibration import calibrate
from glorot_jax.diagnosis.tracing.sites import trace

_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds of each model; the medians are printed.")
_WIDTH = flags.DEFINE_integer("width", 100, "Units of a layer.")
INPUTS, CLASSES, EXAMPLES, OTHERS = 32, 10, 256, 1024

try:
    import anyinit
except ImportError:
    anyinit = None


class Deep(nn.Module):
    """Plain layers, one after the other."""

    depth: int
    activation: Callable[[jax.Array], jax.Array]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(self.depth):
            x = self.activation(nn.Dense(_WIDTH.value)(x))
        return nn.Dense(CLASSES)(x)


class Convolutional(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features, strides in ((16, 1), (16, 1), (32, 2), (32, 1), (64, 2)):
            x = nn.relu(nn.Conv(features, (3, 3), strides=strides)(x))
        return nn.Dense(CLASSES)(jnp.mean(x, axis=(1, 2)))


class Residual(nn.Module):
    blocks: int = 10

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = nn.Dense(_WIDTH.value)(x)
        for _ in range(self.blocks):
            h = h + nn.Dense(_WIDTH.value)(nn.relu(nn.Dense(_WIDTH.value)(h)))
        return nn.Dense(CLASSES)(h)


class _Layer(nn.Module):
    @nn.compact
    def __call__(self, h: jax.Array, _: None) -> tuple[jax.Array, None]:
        return nn.tanh(nn.Dense(_WIDTH.value)(h)), None


class Scanned(nn.Module):
    depth: int = 64

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = nn.Dense(_WIDTH.value)(x)
        split, axes = {"params": True}, {"params": 0}
        layers = nn.scan(_Layer, variable_axes=axes, split_rngs=split, length=self.depth)
        return nn.Dense(CLASSES)(layers()(h, None)[0])


class OfNNX(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        widths = [INPUTS, *[_WIDTH.value] * 10]
        pairs = itertools.pairwise(widths)
        self.layers = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in pairs])
        self.top = nnx.Linear(_WIDTH.value, CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers:
            x = nnx.relu(layer(x))
        return self.top(x)


class Drawn(NamedTuple):
    """A model with fresh parameters: ``whole`` and ``variables`` as anyinit takes them."""

    apply: Callable[[Any, Any], jax.Array]
    params: Any
    whole: Any
    variables: Any


def _linen(model: nn.Module, seed: int, x: jax.Array) -> Drawn:
    params = jax.jit(model.init)(jax.random.key(seed), x)
    return Drawn(model.apply, params, model, params)


def _of_nnx(seed: int) -> Drawn:
    whole = OfNNX(nnx.Rngs(seed))
    graph, params = nnx.split(whole)
    return Drawn(lambda p, x: nnx.merge(graph, p)(x), params, whole, None)


IMAGES = (16, 16, 3)
ACCEPTED: dict[str, tuple[Any, tuple[int, ...]]] = {
    "tanh, 10 layers": (Deep(10, nn.tanh), (INPUTS,)),
    "relu, 10 layers": (Deep(10, nn.relu), (INPUTS,)),
    "tanh, 30 layers": (Deep(30, nn.tanh), (INPUTS,)),
    "relu, 30 layers": (Deep(30, nn.relu), (INPUTS,)),
    "CNN, 5 convolutions, relu": (Convolutional(), IMAGES),
}
OTHER: dict[str, tuple[Any, tuple[int, ...]]] = {
    "Linen, 10 residual blocks": (Residual(), (INPUTS,)),
    "Linen, 64 layers in a scan": (Scanned(), (INPUTS,)),
    "NNX, 10 layers": (None, (INPUTS,)),
}


def _drawn(model: Any, shape: tuple[int, ...], seed: int) -> Drawn:
    return _of_nnx(seed) if model is None else _linen(model, seed, _examples(2, shape, 0))


def _examples(n: int, shape: tuple[int, ...], seed: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng([1, seed]).normal(size=(n, *shape)), jnp.float32)


class Flatness(NamedTuple):
    """Of Var[s] over layers: largest over least, and standard deviation of the logarithm."""

    ratio: float
    ratio_below_top: float
    log_std: float


Measure = Callable[[Any, int], Flatness]


def _measure(drawn: Drawn, shape: tuple[int, ...]) -> Measure:
    """``(params, seed)`` to the flatness on examples of that seed."""
    found = trace(drawn.apply, drawn.params, _examples(OTHERS, shape, 0))

    @jax.jit
    def variances(params: Any, x: jax.Array) -> jax.Array:
        s = found.run(params, x).s
        pairs = zip(found.sites, s, strict=True)
        rows = [jnp.var(a.reshape(int(np.prod(site.steps)), -1), axis=1) for site, a in pairs]
        return jnp.concatenate(rows)[jnp.array(found.row_order())]

    def measure(params: Any, seed: int) -> Flatness:
        params = jax.tree.map(jnp.asarray, params)
        measured = np.asarray(variances(params, _examples(OTHERS, shape, 1000 + seed)), np.float64)
        below = measured[:-1]
        return Flatness(
            measured.max() / measured.min(), below.max() / below.min(), np.log(measured).std()
        )

    return measure


def _theirs(drawn: Drawn, mode: str, x: jax.Array, seed: int) -> Any:
    """anyinit's report; it holds the parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anyinit.initialize(
            drawn.whole, mode, np.asarray(x), params=drawn.variables, seed=seed
        )


def _contenders(drawn: Drawn, x: jax.Array, seed: int) -> Iterator[tuple[str, Any]]:
    yield "as drawn", drawn.params
    yield "anyinit, analytic", _theirs(drawn, "analytic", x, seed).params
    yield "anyinit, empirical", _theirs(drawn, "empirical", x, seed).params
    yield "`calibrate`", calibrate(drawn.apply, drawn.params, x).params


def _median(flatness: Sequence[Flatness]) -> Flatness:
    return Flatness(*map(statistics.median, zip(*flatness, strict=True)))


def _accepted() -> None:
    print("| model | parameters | max/min Var[s] | below the top | std of log Var[s] |")
    print("| --- | --- | ---: | ---: | ---: |")
    for name, (model, shape) in ACCEPTED.items():
        by_contender: dict[str, list[Flatness]] = {}
        measure = _measure(_drawn(model, shape, 0), shape)
        for seed in range(_SEEDS.value):
            drawn = _drawn(model, shape, seed)
            for contender, params in _contenders(drawn, _examples(EXAMPLES, shape, seed), seed):
                by_contender.setdefault(contender, []).append(measure(params, seed))
        for contender, found in by_contender.items():
            of = _median(found)
            print(
                f"| {name} | {contender} | {of.ratio:,.3g} | {of.ratio_below_top:,.3g} "
                f"| {of.log_std:.3f} |"
            )


def _said(drawn: Drawn, x: jax.Array, measure: Measure) -> str:
    """What anyinit makes of a model, in one line."""
    try:
        report = _theirs(drawn, "empirical", x, 0)
    except Exception as error:  # whatever it raises
        return f"{type(error).__name__}: {str(error).splitlines()[0]}".split(". ")[0]
    ratio = measure(report.params, 0).ratio
    warned = [line for line in report.warnings if "sequential" in line]
    return f"{ratio:,.3g}; {warned[0]}" if warned else f"{ratio:,.3g}"


def _others() -> None:
    print("| model | as drawn | `calibrate` | anyinit, empirical |")
    print("| --- | ---: | ---: | --- |")
    for name, (model, shape) in OTHER.items():
        drawn, x = _drawn(model, shape, 0), _examples(EXAMPLES, shape, 0)
        measure = _measure(drawn, shape)
        ours = calibrate(drawn.apply, drawn.params, x).params
        before, after = (measure(params, 0).ratio for params in (drawn.params, ours))
        print(f"| {name} | {before:,.3g} | {after:,.3f} | {_said(drawn, x, measure)} |")


def main(argv: Sequence[str]) -> None:
    del argv
    if anyinit is None:
        raise SystemExit("anyinit is not installed: pip install --no-deps anyinit==0.4.0")
    print(f"anyinit {anyinit.__version__}, {_WIDTH.value} units a layer, medians of", end=" ")
    print(f"{_SEEDS.value} seeds\n")
    _accepted()
    print("\nLargest Var[s] over the least:\n")
    _others()


if __name__ == "__main__":
    app.run(main)
