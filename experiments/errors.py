"""Errors a person reads: one line that names the field, the value and what is allowed."""

from collections.abc import Iterable


class ConfigError(ValueError):
    """A config, flag or work directory that can't be used, with the reason in one line."""


def choose(value: str, allowed: Iterable[str], *, field: str) -> str:
    """``value`` if it is one of ``allowed``.

    Raises:
      ConfigError: it isn't.
    """
    allowed = list(allowed)
    if value not in allowed:
        raise ConfigError(f"{field}: {value!r} is not one of {', '.join(allowed)}")
    return value


def at_least(value: float, least: float, *, field: str) -> None:
    """Refuses a number below ``least``, or one that isn't a number.

    Raises:
      ConfigError: it is.
    """
    if not value >= least:
        raise ConfigError(f"{field}: {value} is not allowed; it must be at least {least}")
