"""Progress a person can follow: live bars on a terminal, plain log lines elsewhere."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from glorot_jax import processes

SECONDS_BETWEEN_LINES = 10.0
# One process draws the bars. The default lock is one between processes too: where a signal ends the
# run, the process that keeps account of such locks prints a warning after the run's last line.
tqdm.set_lock(threading.RLock())


class Progress:
    """Counts towards ``total`` of ``unit``; shows the rate and the time left.

    Of several processes the first does.
    """

    def __init__(self, title: str, total: int, unit: str, done: int):
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=title,
            unit=f" {unit}",
            unit_scale=True,
            disable=not (sys.stderr.isatty() and processes.is_first()),
            file=sys.stderr,
        )
        self._lines = not sys.stderr.isatty() and processes.is_first()
        self._title, self._total, self._unit = title, total, unit
        self._done, self._first_done = done, done
        self._started = self._last_line = time.monotonic()

    def advance(self, amount: int) -> None:
        """Counts ``amount`` more."""
        self._done += amount
        self._bar.update(amount)
        now = time.monotonic()
        if self._lines and now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._line(now)

    def reach(self, done: int) -> None:
        """Counts up to ``done``."""
        self.advance(done - self._done)

    def note(self, line: str) -> None:
        """One line for a person, whatever the output is."""
        if processes.is_first():
            self._bar.write(line, file=sys.stderr)

    def say(self, what: str) -> None:
        """Shows what is being done before there is anything to count."""
        self._bar.set_postfix_str(what)
        if self._lines and what:
            print(f"{time.strftime('%H:%M:%S')} {self._title}: {what}", file=sys.stderr, flush=True)

    def close(self, *, done: bool) -> None:
        """Ends the bar; ``done`` unless something stopped it."""
        self._bar.leave = done
        self._bar.close()
        if self._lines and done:
            self._line(time.monotonic())

    def _line(self, now: float) -> None:
        seconds = now - self._started
        rate = (self._done - self._first_done) / max(seconds, 1e-9)
        left = f"{(self._total - self._done) / rate:.0f} s left" if rate else "starting"
        print(
            f"{time.strftime('%H:%M:%S')} {self._title}: {self._done:,} of {self._total:,} "
            f"{self._unit}, {rate:,.1f} {self._unit}/s, {left}",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def progress(title: str, total: int, unit: str, *, done: int = 0) -> Iterator[Progress]:
    """A ``Progress`` that is closed at the end, however the end comes."""
    bar = Progress(title, total, unit, done)
    try:
        yield bar
    except BaseException:
        bar.close(done=False)
        raise
    bar.close(done=True)


def spaced(number: int) -> str:
    """``number`` with its digits in groups of three.

    >>> spaced(160000)
    '160 000'
    """
    return f"{number:,}".replace(",", " ")
