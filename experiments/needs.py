"""Draws what each claim needs, from finished runs of several widths and lengths.

python -m experiments.needs --runs=results/short,results/wide --workdir=results/needs
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from absl import flags

from experiments.data.registry import SHAPESET
from experiments.report.figures import RESOLUTION
from experiments.report.needs import (
    KEPT,
    Needs,
    as_json,
    changing,
    draw,
    from_json,
    needs,
    table,
    together,
)
from experiments.results import schema
from experiments.workdir import RESULTS
from glorot_jax import command
from glorot_jax.files import write_atomically, write_text

_RUNS = flags.DEFINE_list(
    "runs", [], "Folders of finished runs that trained on Shapeset, or of a needs.json."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", "", "Folder for needs.png, needs.svg, needs.md and needs.json, all that is drawn."
)


def _needs(folder: Path) -> Needs:
    if (folder / KEPT).is_file():
        try:
            return from_json((folder / KEPT).read_text())
        except ValueError as error:
            raise schema.ResultsError(f"{folder / KEPT}: {error}; make it again") from error
    results = schema.load(folder / RESULTS)
    schema.check(results, folder / RESULTS)
    group = schema.find_group(results, SHAPESET)
    if group is None:
        raise schema.ResultsError(f"runs: {folder}: nothing was trained on Shapeset")
    return needs(group)


def main(argv: Sequence[str]) -> None:
    del argv
    every, folder = together(_needs(Path(run)) for run in _RUNS.value), Path(_WORKDIR.value)
    shown = changing(every)
    folder.mkdir(parents=True, exist_ok=True)
    figure = draw(shown)
    for suffix in ("png", "svg"):
        save = partial(figure.savefig, format=suffix, dpi=RESOLUTION)
        write_atomically(folder / f"needs.{suffix}", save)
    write_text(folder / KEPT, as_json(every))
    print(f"table: {write_text(folder / 'needs.md', table(shown))}")


if __name__ == "__main__":
    command.run(main, required=("runs", "workdir"))
