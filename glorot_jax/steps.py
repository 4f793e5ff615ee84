"""On a terminal, a line that says which step is running."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class _Line(logging.Handler):
    """Writes each message over the one before it."""

    def __init__(self, file: TextIO):
        super().__init__()
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        self.write(f"{record.getMessage()} ..")

    def write(self, text: str) -> None:
        self._file.write(f"\r\x1b[K{text}")
        self._file.flush()


@contextmanager
def steps_shown(file: TextIO) -> Iterator[None]:
    """Shows which step is running, where ``file`` is a terminal."""
    if not file.isatty():
        yield
        return
    logger, line = logging.getLogger("glorot_jax"), _Line(file)
    logger.addHandler(line)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        line.write("")
        logger.removeHandler(line)
