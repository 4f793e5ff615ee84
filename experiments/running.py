"""A run from its first stage to its page."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import jax
from ml_collections import ConfigDict

from experiments import interrupts
from experiments.data.errors import DataMissing
from experiments.provenance import provenance
from experiments.report import write_report
from experiments.report.page import INDEX, report_files
from experiments.results import schema
from experiments.stages import STAGES
from experiments.workdir import RESULTS, Workdir
from glorot_jax import processes
from glorot_jax.keys import named


def run_stages(config: ConfigDict, folder: Workdir) -> Path:
    """Measures every stage of a valid ``config`` in ``folder``, and draws; returns the page's path.

    Raises:
      DataError, CheckpointError, ResultsError: a file can't be read or written.
    """
    left_out: dict[str, str] = {}
    for stage, measure in STAGES.items():
        if stage not in config.stages:
            continue
        key = named(jax.random.key(config.seed), stage)
        try:
            folder.stage(stage, partial(measure, config, key, folder))
        except DataMissing as missing:
            if not config[stage].get("optional", False):
                raise
            left_out[config[stage].dataset] = str(missing).replace(str(Path.home()), "~")
    processes.first(lambda: _write(config, folder, left_out))
    return folder.path / INDEX


def _write(config: ConfigDict, folder: Workdir, left_out: Mapping[str, str]) -> None:
    if folder.finished() and not folder.measured:
        print(f"nothing to do: {folder.path} holds this run, finished", file=sys.stderr)
        return
    attrs = provenance(config, wall_time_s=folder.seconds())
    whole = schema.build(
        folder.groups, {**attrs, schema.LEFT_OUT: schema.reasons_to_json(left_out)}
    )
    folder.write(whole, folder.path / RESULTS)
    interrupts.doing("drawing the figures and writing the page")
    write_report(whole, folder.path)
    folder.finish(report_files(folder.path))
