"""SIGINT and SIGTERM: the run ends in one line, at once or as soon as what it trained is saved.

A thread of its own looks at signals: Python's handlers wait until the main thread is back from a
long call into C++, such as compiling. Files are written atomically, so a run may end anywhere.
While it trains it saves first (``saving_first``); a second signal ends it even then.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _State:
    """What the main thread and the one that looks at signals share, under ``lock``."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.doing = "starting"
        self.saves_first = False
        self.signum: int | None = None
        self.said = False
        self.tidy: Callable[[], object] = lambda: None


_state = _State()


def watch() -> None:
    """From now on both signals end the process with one line and status 128 + their number."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for signum in SIGNALS:
        signal.signal(signum, _leave_it_to_the_thread)
    threading.Thread(target=_look, args=(reading,), daemon=True).start()


def ignore() -> None:
    """From now on signals change nothing: all is done."""
    with _state.lock:
        for signum in SIGNALS:
            signal.signal(signum, signal.SIG_IGN)


def doing(what: str) -> None:
    """Says what is being done, for the line that a signal would end with."""
    _state.doing = what


@contextmanager
def tidying(tidy: Callable[[], object]) -> Iterator[None]:
    """``tidy()`` is called before a signal ends the process inside."""
    _state.tidy = tidy
    try:
        yield
    finally:
        _state.tidy = lambda: None


@contextmanager
def saving_first() -> Iterator[Callable[[], int]]:
    """Inside, the yielded function returns a first signal, 0 until there is one: save, ``stop``."""
    with _state.lock:
        _state.saves_first = True
    try:
        yield lambda: _state.signum or 0
    finally:
        with _state.lock:
            _state.saves_first = False
    if _state.signum is not None:  # it came after the last look
        stop(f"after {_state.doing}")


def stop(where: str, *, of: str = "", signum: int | None = None) -> NoReturn:
    """Ends the run that a signal asked to end, in a line that says ``where`` it stopped.

    ``signum``: the signal, where another process of the run got it.
    """
    with _state.lock:
        _state.signum = _state.signum or signum
        _state.said = True
        _say(where, of=of)
    raise SystemExit(_status())


def _leave_it_to_the_thread(signum: int, frame: FrameType | None) -> None:
    del signum, frame


def _look(reading: int) -> None:
    while True:
        signum = os.read(reading, 1)[0]
        if signum not in SIGNALS:
            continue
        with _state.lock:
            if _state.saves_first and _state.signum is None:
                _state.signum = signum
                continue
            second = _state.signum is not None
            _state.signum = _state.signum or signum
            if not _state.said:
                _last_words(f"{'at once ' if second else ''}while {_state.doing}")
            with suppress(Exception):
                _state.tidy()
            os._exit(_status())


def _status() -> int:
    return 128 + (_state.signum or signal.SIGTERM)


def _say(where: str, *, of: str = "", to: int | None = None) -> None:
    clear = "\r\033[K" if sys.stderr.isatty() else ""
    of = of and f"{of}: "
    os.write(
        sys.stderr.fileno() if to is None else to,
        f"{clear}{of}stopped {where}; the same command goes on\n".encode(),
    )


def _last_words(where: str) -> None:
    """Says ``where``, and lets nothing that the main thread still prints come after it."""
    stderr = os.dup(sys.stderr.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    _say(where, to=stderr)
