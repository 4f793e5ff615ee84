"""Singular values of every layer of the paper's nets: matrix-free beside torch.linalg.svdvals.

    python -m benchmarks.spectra --examples 300 --width 1000

Both find the spectra of the same Jacobians diag(f'(s)) W, of each layer at each of the examples.
PyTorch decomposes a few of them, and its time for all is scaled from those. Errors are against
NumPy's exact values in float64, over a few examples.
"""

import argparse
import itertools
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import timing
from glorot_jax import activations, diagnosis, initializers, probes
from glorot_jax.data import shapeset
from glorot_jax.diagnosis.measuring import site_jacobians
from glorot_jax.network import MLP, init, logits

ACTIVATIONS = ("tanh", "softsign")
INITIALIZERS = {"standard": initializers.standard(), "normalized": initializers.normalized()}
DEPTH = 5


class Case(NamedTuple):
    """A net at its initialisation, and examples."""

    model: MLP
    params: Any
    x: jax.Array


def make_case(activation: str, initializer: str, width: int, examples: int) -> Case:
    model = MLP(
        (width,) * DEPTH,
        len(shapeset.CLASS_NAMES),
        activations.ACTIVATIONS[activation],
        INITIALIZERS[initializer],
    )
    x = shapeset.sample(jax.random.key(0), examples).x
    return Case(model, init(model, jax.random.key(1), x.shape[1]), x)


def spectra(case: Case, seed: int, **how: Any) -> Mapping[str, np.ndarray]:
    """``site_spectra`` of the case."""
    found = diagnosis.trace(partial(logits, case.model), case.params, case.x)
    random = np.random.default_rng(seed)
    return site_jacobians.site_spectra(found, **how)(case.params, case.x, random)


def errors(case: Case, seed: int) -> tuple[list[float], list[float], list[float]]:
    """Relative errors of mean and maximum, and the error reported of the mean, at each layer."""
    ours = spectra(case, seed)
    mean, maximum, reported = [], [], []
    for layer, found in enumerate(probes.layer_jacobians(case.model, case.params, case.x)):
        exact = np.stack([np.linalg.svd(np.float64(j), compute_uv=False) for j in found])
        mean.append(float(ours["sigma_mean"][layer]) / exact.mean() - 1)
        maximum.append(float(ours["sigma_max"][layer]) / exact[:, 0].mean() - 1)
        reported.append(float(ours["sigma_mean_error"][layer]) / exact.mean())
    return mean, maximum, reported


def accuracy(width: int, examples: int) -> str:
    rows = []
    names = list(itertools.product(ACTIVATIONS, INITIALIZERS))
    for seed, (activation, initializer) in enumerate(names):
        found = errors(make_case(activation, initializer, width, examples), seed)
        worst = [f"{100 * max(map(abs, values)):.2f}%" for values in found]
        rows.append([f"{activation}, {initializer}", *worst])
    header = ("worst of the layers", "error of the mean", "error of the maximum", "reported error")
    return timing.markdown(header, rows)


def speed(width: int, examples: int, repeats: int, matvecs: int) -> str:
    import torch

    case = make_case("tanh", "normalized", width, examples)
    start = time.perf_counter()
    found = spectra(case, 0, matvecs=matvecs)
    first = time.perf_counter() - start
    few = probes.layer_jacobians(case.model, case.params, case.x[:1])
    matrices = [torch.from_numpy(np.array(jacobian[0])) for jacobian in few]

    def ours(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            spectra(case, 0, matvecs=matvecs)
        return time.perf_counter() - start

    def theirs(threads: int, calls: int) -> float:
        torch.set_num_threads(threads)
        start = time.perf_counter()
        for _, matrix in itertools.product(range(calls), matrices):
            torch.linalg.svdvals(matrix)
        return (time.perf_counter() - start) * examples

    # One call of each a round: a call of theirs is one example, of all layers. On a machine that
    # others use, waiting threads can cost PyTorch more than they help.
    torchs = {f"torch, {n} threads": partial(theirs, n) for n in {1, torch.get_num_threads()}}
    times = timing.interleaved({"ours": ours, **torchs}, repeats=repeats, seconds=0)
    fastest = min(torchs, key=times.median)
    error = float(np.max(found["sigma_mean_error"][:DEPTH] / found["sigma_mean"][:DEPTH]))
    return (
        f"{matvecs} steps: {times.median('ours'):.1f} s for {DEPTH} layers and {examples} examples"
        f" (best round {times.best('ours'):.1f} s, the first call {first:.1f} s); svdvals"
        f" {times.median(fastest):.0f} s ({fastest}, best {times.best(fastest):.0f} s), scaled from"
        f" one example a round: {times.ratio('ours', fastest):.0f} times as fast; reported error"
        f" of the mean {100 * error:.2f}%"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--exact", type=int, default=5, help="examples to compare; 0: none")
    parser.add_argument("--repeats", type=int, default=5, help="0: no timing")
    options = parser.parse_args()
    if options.repeats:
        for matvecs in (8, site_jacobians.MATVECS):
            print(speed(options.width, options.examples, options.repeats, matvecs), flush=True)
    if options.exact:
        print(accuracy(options.width, options.exact))


if __name__ == "__main__":
    main()
