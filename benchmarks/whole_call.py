"""What a whole ``diagnose`` costs beside compiling and running ``value_and_grad`` once.

    python -m benchmarks.whole_call --models=vit,resnet,gpt,plain

Seconds are of the processors, so that other processes change little. Both are done from nothing,
then ``diagnose`` once more. Lines are of the lowered programs, memory is what XLA plans for them.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import glorot_jax as gj
from benchmarks import models
from benchmarks.clinic.kit import cross_entropy
from benchmarks.models import Case
from benchmarks.timing import markdown
from glorot_jax.diagnosis.measuring.checks import trace_with_costs
from glorot_jax.diagnosis.measuring.examination import examination
from glorot_jax.diagnosis.reporting.diagnosing import BINS
from glorot_jax.diagnosis.tracing.programs import lowered

CASES: dict[str, tuple[str, Callable[..., Case]]] = {
    "vit": ("ViT-S/16, 8 images", models.vit),
    "resnet": ("ResNet-50, 8 images", models.resnet),
    "gpt": ("GPT 12 x 768, 4 x 128 tokens", models.gpt),
    "plain": ("5 x 1000 tanh, 300 examples", models.plain),
    "deep12": ("12 equal blocks of width 64", lambda: models.gpt(width=64, heads=4, depth=12)),
    "deep48": ("48 equal blocks of width 64", lambda: models.gpt(width=64, heads=4, depth=48)),
}


def main() -> None:
    """Prints a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(CASES))
    parser.add_argument("--spectra", default="none", choices=("none", "auto", "all"))
    options = parser.parse_args()
    spectra = {"none": False, "auto": "auto", "all": True}[options.spectra]
    rows = [_row(*CASES[name], spectra) for name in options.models.split(",")]
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}, {os.cpu_count()} cores.\n")
    head = ["", "gradient, s", "first call, s", "times", "second, s", "times", "lines", "memory"]
    print(markdown(head, rows))


def _row(title: str, make: Callable[[], Case], spectra: Any) -> list[str]:
    case = make()

    def cost(params: Any, x: Any, y: Any) -> jax.Array:
        return jnp.mean(cross_entropy(case.apply_fn(params, x), y))

    def plain() -> object:
        lowered = jax.jit(jax.value_and_grad(cost)).lower(case.params, case.x, case.y)
        return jax.block_until_ready(lowered.compile()(case.params, case.x, case.y))

    def call() -> object:
        return gj.diagnose(
            case.apply_fn, case.params, case.x, case.y, loss=cross_entropy, spectra=spectra
        )

    gradient, first, second = _seconds(plain), _seconds(call), _seconds(call)
    lines, memory = _sizes(case, cost)
    return [
        title,
        f"{gradient:.1f}",
        f"{first:.1f}",
        f"{first / gradient:.1f}",
        f"{second:.1f}",
        f"{second / gradient:.1f}",
        f"{lines:.1f}",
        f"{memory:.1f}",
    ]


def _seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _sizes(case: Case, cost: Any) -> tuple[float, float]:
    """Lines and memory of the measuring program, as multiples of the gradient's."""
    traced = trace_with_costs(case.apply_fn, case.params, case.x, case.y, loss=cross_entropy)
    exam = examination(traced, cross_entropy, BINS)
    lines, memory = [], []
    for program in (jax.value_and_grad(cost), exam.exposed):
        made = lowered(program, case.params, case.x, case.y)
        lines.append(made.as_text().count("\n"))
        sizes = made.compile().memory_analysis()
        memory.append(sizes.temp_size_in_bytes + sizes.output_size_in_bytes)
    return lines[1] / lines[0], memory[1] / memory[0]


if __name__ == "__main__":
    main()
