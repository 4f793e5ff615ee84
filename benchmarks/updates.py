"""Members x updates per second: this project beside other executors and beside PyTorch.

    python -m benchmarks.updates --widths 300 1000 --members 8

Every contender trains the same networks on the same data with the same plain SGD in float32. Before
the clock starts they must agree on the weights after a block of updates.
"""

import argparse
import importlib.util
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import jax
import numpy as np

from benchmarks import jax_updates, roofline
from benchmarks.timing import Times, interleaved, markdown
from benchmarks.torch_worker import TorchWorker

TOLERANCE = 1e-5


def main() -> None:
    arguments = _arguments()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jax.config.update("jax_num_cpu_devices", cores or 1)
    jax.config.update("jax_default_matmul_precision", "highest")  # no TF32; nothing on a CPU
    device = jax.devices()[0]
    print(
        f"{jax.device_count()} x {device.device_kind} ({device.platform}), JAX {jax.__version__}."
    )
    with_torch = importlib.util.find_spec("torch") is not None and not arguments.no_torch
    if not with_torch:
        print("PyTorch is not measured: `pip install 'glorot_jax[bench]'` brings it.")
    for width in arguments.widths:
        for members in arguments.members:
            compare(width, members, arguments, threads=cores or 1, with_torch=with_torch)


def compare(
    width: int, members: int, arguments: argparse.Namespace, *, threads: int, with_torch: bool
) -> Times:
    """Checks that all contenders agree, times them, and prints a table and the bounds."""
    updates = arguments.updates
    stream = jax_updates.fixed_stream(updates * jax_updates.BATCH)
    start = jax_updates.fresh_ensemble(width, members, stream)
    padded = start.streams.y.shape[0]
    if padded != members:
        raise SystemExit(f"--members: {members} does not divide by {jax.device_count()} devices")
    arrays = jax_updates.named_arrays(start)
    programs = jax_updates.executors(width, updates)
    states = {n: program(jax_updates.placed(n, start)) for n, program in programs.items()}
    del start
    expected = jax_updates.named_arrays(states[jax_updates.PROJECT])
    for name, state in states.items():
        check(name, jax_updates.named_arrays(state), expected)
    contenders = {n: jax_updates.timed(programs[n], state) for n, state in states.items()}
    del states

    with ExitStack() as stack:
        if with_torch:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            platform = "cpu" if jax.default_backend() == "cpu" else "cuda"
            worker = TorchWorker(arrays, scratch, device=platform, threads=threads)
            print(f"{stack.enter_context(worker).version}, {threads} threads.")
            for name in worker.names:
                check(name, worker.first_block(name), expected)
                contenders[name] = worker.contender(name)
        times = interleaved(contenders, repeats=arguments.repeats, seconds=arguments.seconds)
    report(width, members, updates, times, arguments.repeats)
    return times


def check(name: str, found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Stops the benchmark where a contender computes something else.

    Raises:
      SystemExit: a weight differs by more than ``TOLERANCE``.
    """
    for array in (name for name in expected if "/" in name):
        difference = float(np.abs(found[array] - expected[array]).max())
        if not difference <= TOLERANCE:
            raise SystemExit(
                f"{name}: {array} differs from {jax_updates.PROJECT}'s by {difference}"
            )


def report(width: int, members: int, updates: int, times: Times, repeats: int) -> None:
    """The table of one width and ensemble, and where the rest of the time goes."""
    project, done = jax_updates.PROJECT, members * updates
    rows = [
        [
            name,
            f"{done / times.median(name):,.0f}",
            f"{done / times.best(name):,.0f}",
            f"{times.ratio(project, name):.2f}",
        ]
        for name in sorted(times.seconds, key=times.median)
    ]
    header = ["", "members x updates/s", "best round", f"{project} is faster by"]
    print(f"\n### W = {width}, {members} members\n\n{markdown(header, rows)}\n")
    rates = roofline.measure_rates(width, members, repeats=repeats)
    print(roofline.lines(width, rates, done / times.median(project)), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--members", type=int, nargs="+", default=[8], help="sizes of ensemble")
    parser.add_argument("--updates", type=int, default=50, help="updates in a block")
    parser.add_argument("--repeats", type=int, default=7, help="rounds; medians are reported")
    parser.add_argument("--seconds", type=float, default=2.0, help="per contender and round")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
