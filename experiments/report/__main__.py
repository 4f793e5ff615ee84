"""Rebuilds claims, figures and page of a finished run from its ``results.nc``; trains nothing.

python -m experiments.report --workdir=results/quick
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from experiments.report import write_report
from experiments.results import schema
from experiments.workdir import RESULTS
from glorot_jax import command

_WORKDIR = flags.DEFINE_string("workdir", "", "Folder of a finished run.")


def main(argv: Sequence[str]) -> None:
    del argv
    folder = Path(_WORKDIR.value)
    print(f"page: {write_report(schema.load(folder / RESULTS), folder)}")


if __name__ == "__main__":
    command.run(main, required=("workdir",))
