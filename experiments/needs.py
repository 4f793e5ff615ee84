"""Draws what each claim needs, from finished runs of several widths and lengths.

python -m experiments.needs --runs=results/short,results/wide --workdir=results/needs
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import xarray as xr
from absl import flags

from experiments.data.registry import SHAPESET
from experiments.report.figures import RESOLUTION
from experiments.report.needs import draw, needs, table
from experiments.results import schema
from experiments.workdir import RESULTS
from glorot_jax import command
from glorot_jax.files import write_atomically, write_text

_RUNS = flags.DEFINE_list("runs", [], "Folders of finished runs that trained on Shapeset.")
_WORKDIR = flags.DEFINE_string("workdir", "", "Folder for needs.png, needs.svg and needs.md.")


def _shapeset(path: Path) -> xr.Dataset | None:
    results = schema.load(path)
    schema.check(results, path)
    return schema.find_group(results, SHAPESET)


def main(argv: Sequence[str]) -> None:
    del argv
    found = [_shapeset(Path(run) / RESULTS) for run in _RUNS.value]
    groups = [group for group in found if group is not None]
    if len(groups) < len(found) or not groups:
        raise schema.ResultsError(
            f"runs: {','.join(_RUNS.value)}: {len(groups)} of {len(found)} trained on Shapeset"
        )
    every, folder = needs(groups), Path(_WORKDIR.value)
    folder.mkdir(parents=True, exist_ok=True)
    figure = draw(every)
    for suffix in ("png", "svg"):
        save = partial(figure.savefig, format=suffix, dpi=RESOLUTION)
        write_atomically(folder / f"needs.{suffix}", save)
    print(f"table: {write_text(folder / 'needs.md', table(every))}")


if __name__ == "__main__":
    command.run(main, required=("runs", "workdir"))
