"""How a command ends: one line and exit status 2 for what the user can mend."""

import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging


def run(main: Callable[[Sequence[str]], None], required: Sequence[str]) -> None:
    """Runs ``main`` under absl; bad flags and bad input end in one line on stderr and status 2."""

    def parse(argv: Sequence[str]) -> list[str]:
        try:
            left = flags.FLAGS(argv)
            missing = [name for name in required if flags.FLAGS[name].value is None]
            if missing:
                raise ValueError(f"--{missing[0]} is missing; --help lists the flags")
            if len(left) > 1:
                raise ValueError(f"{left[1]!r} is not a flag; --help lists the flags")
        except Exception as error:  # a config file can raise anything
            fail(error)
        return left

    def guarded(argv: Sequence[str]) -> None:
        try:
            main(argv)
        except (ValueError, OSError) as error:
            if flags.FLAGS["v"].value > 0:
                logging.exception("")
            fail(error)

    logging.set_verbosity(logging.INFO)
    app.run(guarded, flags_parser=parse)


def fail(error: BaseException) -> None:
    """Prints the error in one line and leaves with status 2."""
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"error: {text}", file=sys.stderr, flush=True)
    sys.exit(2)
