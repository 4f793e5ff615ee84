"""Members x updates per second over host devices and processes of one machine.

    python -m benchmarks.devices --widths 100 300 --figure devices.png

Every row is the project's training program with fresh Shapeset images, one ensemble over all the
devices of all processes. The rows take turns: each round starts each row's processes once.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

import jax
from matplotlib.figure import Figure

from benchmarks.jax_updates import BATCH, fresh_ensemble, project
from benchmarks.timing import Times, markdown
from glorot_jax import processes
from glorot_jax.data import shapeset

LAYOUTS = ((1, 1), (1, 2), (1, 4), (1, 8), (2, 1), (2, 2), (2, 4), (4, 1))  # processes, devices
BLOCK = 1000  # examples


def main() -> None:
    arguments = _arguments()
    if arguments.address:
        measure(arguments)
        return
    print(f"{len(os.sched_getaffinity(0))} CPU cores, JAX {jax.__version__}.")
    rates: dict[int, dict[tuple[int, int], float]] = {}
    for width in arguments.widths:
        taken: dict[str, list[float]] = {}
        for _ in range(arguments.repeats):
            for layout in LAYOUTS:
                seconds = start(layout, width, arguments)
                taken.setdefault(_name(layout), []).append(seconds)
        times = Times(taken)
        rates[width] = {layout: 1 / times.median(_name(layout)) for layout in LAYOUTS}
        rows = [
            [
                name,
                f"{1 / times.median(name):,.0f}",
                f"{1 / times.best(name):,.0f}",
                f"{times.ratio(name, _name(LAYOUTS[0])):.2f}",
            ]
            for name in taken
        ]
        header = ["processes x devices", "members x updates/s", "best round", "times 1 x 1"]
        print(f"\n### W = {width}, {arguments.members} members\n")
        print(markdown(header, rows), flush=True)
    if arguments.figure:
        draw(rates).savefig(arguments.figure, dpi=150)


def draw(rates: Mapping[int, Mapping[tuple[int, int], float]]) -> Figure:
    """``rates``: members x updates/s by width and by (processes, devices of each)."""
    figure = Figure(figsize=(6.4, 3.2 * len(rates)), layout="constrained")
    panels = figure.subplots(len(rates), squeeze=False)[:, 0]
    for axes, (width, measured) in zip(panels, rates.items(), strict=True):
        for number in sorted({layout[0] for layout in measured}):
            mine = [layout for layout in measured if layout[0] == number]
            axes.plot(
                [count * devices for count, devices in mine],
                [measured[layout] for layout in mine],
                marker="o",
                label=f"{number} process{'es' if number > 1 else ''}",
            )
        devices = sorted({count * each for count, each in measured})
        axes.set(title=f"{width} units a layer", ylabel="members x updates/s", ylim=(0, None))
        axes.set_xscale("log", base=2)
        axes.set_xticks(devices, [str(count) for count in devices])
        axes.legend()
    panels[-1].set_xlabel("host devices, of all processes together")
    return figure


def _name(layout: tuple[int, int]) -> str:
    return f"{layout[0]} x {layout[1]}"


def start(layout: tuple[int, int], width: int, arguments: argparse.Namespace) -> float:
    """Seconds for one update of one member, by process 0 of a run of ``layout``.

    Raises:
      SystemExit: a process failed.
    """
    count, devices = layout
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "benchmarks.devices", f"--address={address}"]
    command += [f"--count={count}", f"--devices={devices}", f"--widths={width}"]
    command += [f"--members={arguments.members}", f"--seconds={arguments.seconds}"]
    started = [
        subprocess.Popen([*command, f"--number={number}"], stdout=subprocess.PIPE, text=True)
        for number in range(count)
    ]
    said = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit(f"{layout}: {[process.returncode for process in started]}")
    return float(said[0])


def measure(arguments: argparse.Namespace) -> None:
    """One process of one row; the first prints the seconds of one update of one member."""
    jax.config.update("jax_num_cpu_devices", arguments.devices)
    if arguments.count > 1:
        processes.connect(arguments.address, arguments.count, arguments.number)
    with processes.ending():
        stream = shapeset.stream(block_size=BLOCK)
        ensemble = fresh_ensemble(arguments.widths[0], arguments.members, stream)
        advance = project(arguments.widths[0], stream)
        ensemble = jax.block_until_ready(advance(ensemble, 1))
        # One process chooses how many blocks all of them do.
        begun = time.perf_counter()
        ensemble = jax.block_until_ready(advance(ensemble, 1))
        of_one = time.perf_counter() - begun
        wanted = max(1, round(arguments.seconds / of_one))
        blocks = int(processes.agree([wanted])[0, 0])
        begun = time.perf_counter()
        jax.block_until_ready(advance(ensemble, blocks))
        processes.agree([0])  # the slowest is ready
        seconds = time.perf_counter() - begun
        if processes.is_first():
            print(seconds / (blocks * BLOCK // BATCH * arguments.members))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3, help="rounds; medians are reported")
    parser.add_argument("--seconds", type=float, default=4.0, help="per row and round")
    parser.add_argument("--figure", help="file to draw the rates into")
    for name in ("--address", "--count", "--number", "--devices"):  # of one process of a row
        parser.add_argument(name, type=str if name == "--address" else int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
