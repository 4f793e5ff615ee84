"""How a command ends: one line and exit status 2 for what the user can mend."""

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags, logging

from glorot_jax import processes

FLAGS = flags.FLAGS

# absl's own ends with status 1, and knows no module but the one that was started.
_HELP = {"--help", "-help", "-h", "--helpshort"}


def run(main: Callable[[Sequence[str]], None], required: Sequence[str]) -> None:
    """Runs ``main`` under absl; bad flags and bad input end in one line on stderr and status 2.

    ``--v=1`` shows the traceback too.
    """

    def parse(argv: Sequence[str]) -> list[str]:
        if not _HELP.isdisjoint(argv[1:]):
            print(_help(main))
            sys.exit(0)
        try:
            left = FLAGS(argv)
            _check_flags(left, required)
        except Exception as error:  # a config file can raise anything
            fail(_explain(error))
        return left

    def together(argv: Sequence[str]) -> None:
        with processes.ending():
            guarded(argv)

    def guarded(argv: Sequence[str]) -> None:
        try:
            main(argv)
        except (ValueError, OSError) as error:
            if FLAGS.v > 0:
                logging.exception("what was running:")
            fail(str(error) or type(error).__name__)
        except RuntimeError as error:
            if "initialize backend" not in str(error):
                raise
            fail(f"JAX_PLATFORMS: {str(error).splitlines()[0]}")

    logging.set_verbosity(logging.WARNING)
    app.run(together, flags_parser=parse)


def _help(main: Callable[[Sequence[str]], None]) -> str:
    """What the module of ``main`` says of itself, and its flags."""
    module = main.__module__
    # absl files the flags of a module that is run under the name of its file.
    registered = sys.argv[0] if module == "__main__" else module
    described = (sys.modules[module].__doc__ or "").strip()
    keys = FLAGS.get_key_flags_for_module(registered)
    return "\n".join([described, "", "flags:", *(_flag_help(flag) for flag in keys)])


def _flag_help(flag: flags.Flag[Any]) -> str:
    name = f"[no]{flag.name}" if flag.boolean else f"{flag.name}=.."
    given = f" (default: {flag.default})" if flag.default not in (None, "") else ""
    return f"  --{name}\n      {flag.help}{given}"


def fail(message: str) -> None:
    """Prints the message in one line and leaves with status 2."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    sys.exit(2)


def _check_flags(left: Sequence[str], required: Sequence[str]) -> None:
    for name in required:
        if not FLAGS[name].value:
            raise ValueError(f"--{name} is missing; --help lists the flags")
    if len(left) > 1:
        raise ValueError(f"{left[1]!r} is not a flag; --help lists the flags")


def _explain(error: Exception) -> str:
    """What config_flags means, without the traceback that it puts into its messages."""
    text = str(error).strip()
    guess = re.search(r'Did you mean "(\w+)" instead of "(\w+)"', text)
    if guess:
        return f"--config: {guess[2]!r} is not a field; did you mean {guess[1]!r}?"
    if isinstance(error, KeyError | AttributeError):
        return f"--config: {text} is not a field"
    last = text.splitlines()[-1] if text else type(error).__name__
    return last.partition(": ")[2] if "Traceback" in text else last
