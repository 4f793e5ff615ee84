"""Runs an experiment from its config to its page.

  python -m experiments.launch --config=paper:quick --workdir=results/quick
  python -m experiments.launch --list

Started again with the same command, a run that was stopped goes on where it was. On several
machines the same command is started on all of them, with --distributed (docs/scale.md).
"""

from experiments import interrupts

if __name__ == "__main__":
    interrupts.watch()  # before the imports, which take seconds

import os
from collections.abc import Sequence
from pathlib import Path

import jax
import scipy.linalg  # noqa: F401  (loads the LAPACK whose threads are limited)
from absl import flags
from ml_collections import ConfigDict
from threadpoolctl import threadpool_limits

from experiments import config_flag
from experiments.configs.custom import with_custom
from experiments.validate import validate
from experiments.workdir import PROGRAMS, check_same_everywhere, opened
from glorot_jax import command, process_flags, processes

_CONFIG = config_flag.define()
for _module in (config_flag, process_flags):
    flags.adopt_module_key_flags(_module)  # for --help
_WORKDIR = flags.DEFINE_string("workdir", "", "Folder for results, checkpoints and the page.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "TFDS data folder; TFDS_DATA_DIR unless given.")


def run(config: ConfigDict, workdir: str) -> Path:
    """Runs the stages of ``config`` and writes the page; returns its path.

    Of several processes the first reads and writes; all return when it has.

    Raises:
      ConfigError: the config or the work directory can't be used.
      DataError, CheckpointError, ResultsError: a file can't be read or written.
    """
    config = with_custom(config)
    validate(config)
    check_same_everywhere(config)
    with opened(workdir, config) as folder:
        # What a run needs takes a second to import: after all that is refused, before it starts.
        from experiments.running import run_stages

        return run_stages(config, folder)


def set_up_jax(workdir: str, *, compile_fast: bool) -> None:
    """One host device and one LAPACK thread a CPU core; compiled programs kept in the folder.

    Has to be called before JAX is first used; the devices and threads of an accelerator stay as
    they are, and so do as many host devices as JAX_NUM_CPU_DEVICES says. ``compile_fast`` leaves
    out most optimizations. Programs aren't kept in a folder whose name is no text under this
    locale, of which JAX can't be told.
    """
    # LAPACK's own threads, on top of JAX's, made a singular value decomposition 30 times slower.
    threadpool_limits(limits=1, user_api="blas")
    if not os.environ.get("JAX_NUM_CPU_DEVICES"):
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    jax.config.update("jax_disable_most_optimizations", compile_fast)
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR") and _is_text(workdir):
        jax.config.update("jax_compilation_cache_dir", str(Path(workdir) / PROGRAMS))


def _is_text(path: str) -> bool:
    """Whether it is Unicode: bytes that the locale can't decode come as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def main(argv: Sequence[str]) -> None:
    del argv
    config = _CONFIG.value
    set_up_jax(_WORKDIR.value, compile_fast=config.compile_fast)
    process_flags.connect_if_asked()
    if _DATA_DIR.value is not None:
        config.data_dir = _DATA_DIR.value
    page = run(config, _WORKDIR.value)
    if processes.is_first():
        print(f"page: {page}", flush=True)
    interrupts.ignore()


if __name__ == "__main__":
    command.run(main, required=("config", "workdir"))
