"""What measuring every site costs, beside a plain gradient and beside PyTorch's hooks.

    python -m benchmarks.diagnosis

The paper's 5 x 1000 net of tanh units on 300 Shapeset images. PyTorch, where it is installed, gets
the same weights and must find the same numbers before the clock starts.
"""

import argparse
import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import interleaved, markdown
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data import shapeset
from glorot_jax.data.stream import Batch
from glorot_jax.diagnosis import QUANTILES, Traced, site_statistics, trace
from glorot_jax.diagnosis.judging.prediction import row_constants
from glorot_jax.diagnosis.measuring.examination import examination
from glorot_jax.diagnosis.reporting.dataset import build_dataset
from glorot_jax.diagnosis.reporting.diagnosing import BINS
from glorot_jax.diagnosis.tracing.programs import compiled_once
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP, init, kernels, logits

TOLERANCE = 1e-3  # relative, of float32 sums in another order
CLASSES = len(shapeset.CLASS_NAMES)
GRADIENT, STATISTICS, REPORT = "value_and_grad", "site_statistics", "diagnose, without spectra"
TORCH_GRADIENT, TORCH_HOOKS = "PyTorch: forward and backward", "PyTorch: the same with hooks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    batch = shapeset.sample(jax.random.key(0), options.examples)
    model = MLP((options.width,) * options.depth, CLASSES, ACTIVATIONS["tanh"])
    params = init(model, jax.random.key(1), batch.x.shape[1])
    traced = trace(partial(logits, model), params, batch.x)
    programs = _programs(model, traced, params, batch)
    contenders = {name: _timed(call) for name, call in programs.items()}
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not measured: `pip install 'glorot_jax[bench]'` brings it.")
    else:
        theirs, statistics = _torch(params, batch)
        _check(site_statistics(traced, params, *batch), statistics())
        contenders |= {name: _timed(call) for name, call in theirs.items()}
    times = interleaved(contenders, repeats=options.repeats, seconds=0.5)
    rows = [
        [name, f"{1e3 * times.median(name):.0f}", f"{1 / times.ratio(name, GRADIENT):.2f}"]
        for name in contenders
    ]
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}, {os.cpu_count()} cores.\n")
    print(markdown(["", "ms", f"times {GRADIENT}"], rows))
    if TORCH_HOOKS in contenders:
        print(
            f"\n{STATISTICS} is {times.ratio(STATISTICS, TORCH_HOOKS):.1f} times as fast as hooks."
        )


def _programs(
    model: MLP, traced: Traced, params: Any, batch: Batch
) -> dict[str, Callable[[], object]]:
    def cost(params: Any, batch: Batch) -> jax.Array:
        return jnp.mean(cross_entropy(logits(model, params, batch.x), batch.y))

    gradient = jax.jit(jax.value_and_grad(cost))
    measure = jax.jit(partial(site_statistics, traced))
    exam = examination(traced, cross_entropy, BINS)
    exposed = compiled_once(exam.exposed)
    rows = row_constants(traced)

    def report() -> object:
        examined = exam.whole(exam.reduced(jax.device_get(exposed(params, *batch))))
        found = {name: a[None] for name, a in examined.rows.items()}
        return build_dataset(traced, rows, found, {}, {})

    return {
        GRADIENT: lambda: jax.block_until_ready(gradient(params, batch)),
        STATISTICS: lambda: jax.block_until_ready(measure(params, *batch)),
        REPORT: report,
    }


def _timed(call: Callable[[], object]) -> Callable[[int], float]:
    def run(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return time.perf_counter() - start

    return run


def _torch(
    params: Any, batch: Batch
) -> tuple[dict[str, Callable[[], object]], Callable[[], dict[str, np.ndarray]]]:
    """Contenders, and the statistics that the second one finds."""
    import torch

    layers: list[Any] = []
    for kernel in kernels(params):
        linear = torch.nn.Linear(*kernel.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(np.asarray(kernel)).T)
            linear.bias.zero_()
        layers += [linear, torch.nn.Tanh()]
    net = torch.nn.Sequential(*layers[:-1])
    x, y = torch.tensor(np.asarray(batch.x)), torch.tensor(np.asarray(batch.y, np.int64))
    n = len(x)

    def backward() -> None:
        net.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y, reduction="sum").backward()

    def distribution(name: str, values: Any) -> dict[str, Any]:
        directions = torch.nn.functional.normalize(values, dim=1)
        together = directions.sum(0).square().sum() - directions.square().sum()
        return {
            f"{name}_mean": values.mean(),
            f"{name}_std": values.std(correction=0),
            f"{name}_mean_square": values.square().mean(),
            f"{name}_quantile": torch.quantile(values.flatten(), torch.tensor(QUANTILES)),
            f"{name}_cosine": together / (n * (n - 1)),
        }

    def site(linear: Any, z: Any, s: Any, ds: Any) -> dict[str, Any]:
        slope = 1 - torch.tanh(s).square()
        dw, w = linear.weight.grad / n, linear.weight.detach()
        return {
            **distribution("z", z),
            **distribution("s", s),
            "saturated": (slope < 0.05).float().mean(),
            "dead": (slope == 0).all(0).float().mean(),
            "ds_std": ds.std(correction=0),
            "ds_mean_square": ds.square().mean(),
            "ds_norm": ds.norm(),
            "dw_std": dw.std(correction=0),
            "dw_norm": dw.norm(),
            "dw_ratio": dw.norm() / w.norm(),
            "kernel_std": w.std(correction=0),
            "kernel_norm": w.norm(),
            "gain": w.shape[1] * w.var(correction=0),
        }

    def with_hooks() -> dict[str, np.ndarray]:
        seen: dict[Any, list[Any]] = {}
        handles = []
        for layer in net:
            if isinstance(layer, torch.nn.Linear):
                forward = lambda m, z, s: seen.__setitem__(m, [z[0].detach(), s.detach()])  # noqa: E731
                back = lambda m, _, ds: seen[m].append(ds[0])  # noqa: E731
                handles += [
                    layer.register_forward_hook(forward),
                    layer.register_full_backward_hook(back),
                ]
        backward()
        for handle in handles:
            handle.remove()
        rows = [site(linear, *values) for linear, values in seen.items()]
        return {name: np.stack([row[name].numpy() for row in rows]) for name in rows[0]}

    return {TORCH_GRADIENT: backward, TORCH_HOOKS: with_hooks}, with_hooks


def _check(ours: Mapping[str, Any], theirs: Mapping[str, np.ndarray]) -> None:
    """Refuses to time two programs that don't find the same."""
    for name, values in theirs.items():
        mine = np.asarray(ours[name])
        known = np.isfinite(mine)  # nothing follows the logits
        scale = np.abs(values).max()
        np.testing.assert_allclose(
            mine[known], values[known], rtol=TOLERANCE, atol=1e-4 * scale, err_msg=name
        )


if __name__ == "__main__":
    main()
