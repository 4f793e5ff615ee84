"""Diagnoses how signals move through a model: a table, findings, and a page.

  glorot-jax diagnose --model=glorot_jax.diagnosis.example_models:deep_tanh --workdir=out

The model is a function without arguments that returns a ``glorot_jax.Model``; its module may lie in
the current folder. Exit status 1 when a finding is severe, so that this can guard a training job;
2 when something can't be used. What is deliberate is said where the model is made:

  return gj.Model(apply_fn, params, x, y, ignore=("first cost", "head/*"))  # deliberate

``python -m glorot_jax.diagnosis`` is the same. With --distributed several processes, all started
with the same command, share the nets of --seeds; the first of them prints and writes.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import jax
from absl import flags

import glorot_jax as gj
from glorot_jax import command, dotted, process_flags, processes
from glorot_jax.steps import steps_shown

PAGE = "report.html"
DATA = "report.nc"
REQUIRED = ("model",)
SPECTRA: dict[str, bool | Literal["auto"]] = {"auto": "auto", "all": True, "none": False}

flags.adopt_module_key_flags(process_flags)  # for --help
_MODEL = flags.DEFINE_string("model", "", "Function that returns a Model, as package.module:name.")
_SEEDS = flags.DEFINE_integer(
    "seeds", None, "Nets to draw, where the Model's params is a function."
)
_SPECTRA = flags.DEFINE_enum(
    "spectra",
    "auto",
    list(SPECTRA),
    "Singular values: of what takes about the time of the rest, of all, or of none.",
)
_IGNORE = flags.DEFINE_list(
    "ignore", [], "Kinds of findings or patterns of sites that are deliberate, beside the Model's."
)
_WARNINGS = flags.DEFINE_bool("warnings", False, "Whether a warning ends with status 1 too.")
_BATCH = flags.DEFINE_integer(
    "batch", None, "Examples at once at most, where memory doesn't hold the signals of all."
)
_WORKDIR = flags.DEFINE_string("workdir", "", "Folder for a page and the data; none unless given.")


def load(path: str) -> gj.Model:
    """The model that the function at ``package.module:name`` returns.

    Raises:
      ValueError: there is no such function, it fails, or it returns something else.
    """
    try:
        function = dotted.load(path)
    except ValueError as error:
        raise ValueError(f"--model: {error}") from error
    if not callable(function):
        raise ValueError(f"--model: {path} is not a function that returns a glorot_jax.Model")
    try:
        made = function()
    except dotted.FAILURES as error:
        raise ValueError(f"--model: {path} fails ({dotted.reason(error)})") from error
    if not isinstance(made, gj.Model):
        kind = type(made).__name__
        raise ValueError(f"--model: {path} returns a {kind}, not a glorot_jax.Model")
    return made


def keep_programs() -> None:
    """Keeps what is compiled in the user's cache, unless JAX is told of another one.

    A second diagnosis of the same model then starts at once.
    """
    if jax.config.values.get("jax_compilation_cache_dir"):
        return
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(home) / "glorot_jax" / "programs"
    with suppress(OSError, RuntimeError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            jax.config.update("jax_compilation_cache_dir", str(folder))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def show(report: gj.Report, folder: Path | None) -> None:
    """Prints the report and, into a folder, writes its page and data."""
    print(report)
    if folder:
        report.save(folder / DATA)
        print(f"page: {report.save(folder / PAGE)}")


def main(argv: Sequence[str]) -> None:
    """Shows the report and exits with its status."""
    del argv
    keep_programs()
    process_flags.connect_if_asked()
    model, folder = load(_MODEL.value), Path(_WORKDIR.value) if _WORKDIR.value else None
    if folder:
        processes.first(lambda: folder.mkdir(parents=True, exist_ok=True))
    with steps_shown(sys.stderr):
        report = gj.diagnose(
            *model[:4],
            loss=model.loss,
            seeds=_SEEDS.value,
            spectra=SPECTRA[_SPECTRA.value],
            optimizer=model.optimizer,
            ignore=(*model.ignore, *_IGNORE.value),
            signal=model.signal,
            batch=_BATCH.value,
            name=_MODEL.value,
            distributed=processes.several(),
        )
    processes.first(lambda: show(report, folder))
    try:
        report.raise_if_unhealthy(warnings=_WARNINGS.value)
    except gj.UnhealthyError:
        sys.exit(1)


if __name__ == "__main__":
    command.run(main, required=REQUIRED)
