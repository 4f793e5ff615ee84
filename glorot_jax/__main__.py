"""The command ``glorot-jax``: ``glorot-jax diagnose --model=package.module:function ..``."""

import os
import sys
from importlib import import_module
from typing import NamedTuple

import glorot_jax
from glorot_jax import command


class Subcommand(NamedTuple):
    """A module with ``main(argv)`` and ``REQUIRED``, the flags it can't do without."""

    module: str
    summary: str


# Imported only when named: each defines flags of its own.
SUBCOMMANDS = {
    "diagnose": Subcommand(
        "glorot_jax.diagnosis.__main__", "a table, findings and a page of a model's signals"
    ),
}


def main() -> None:
    """What the console script runs."""
    name, *_ = [*sys.argv[1:], "--help"]
    if name in ("--help", "-h", "-help", "help"):
        print(usage())
    elif name == "--version":
        print(f"glorot_jax {glorot_jax.__version__}")
    elif name in SUBCOMMANDS:
        sys.argv[:2] = [f"glorot-jax {name}"]
        sys.path.insert(0, os.getcwd())  # as `python -m` has it: a user's model is there
        module = import_module(SUBCOMMANDS[name].module)
        command.run(module.main, required=module.REQUIRED)
    else:
        known = ", ".join(SUBCOMMANDS)
        command.fail(f"{name!r} is not a command of glorot-jax; there is {known}")


def usage() -> str:
    """What there is, a line each."""
    lines = [f"  glorot-jax {name}  {one.summary}" for name, one in SUBCOMMANDS.items()]
    return "\n".join(["usage: glorot-jax COMMAND --help", "", *lines])


if __name__ == "__main__":
    main()
