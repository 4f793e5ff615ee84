"""What a config's fields are, element by element, whatever a person wrote there."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ml_collections import ConfigDict

from experiments.errors import ConfigError

LARGEST = 2**31 - 1  # that JAX counts with
# Of tuples, which may be empty, what their elements are.
_ELEMENTS: Mapping[str, type] = MappingProxyType(
    {
        **dict.fromkeys(("stages", "custom_initializers", "custom_activations", "sets"), str),
        **dict.fromkeys(("activations", "initializers", "conditions"), str),
        **dict.fromkeys(("depths", "widths"), int),
        **dict.fromkeys(("learning_rates", "svm_c", "svm_gamma", "pixel_range"), float),
    }
)
_LENGTHS = MappingProxyType({"pixel_range": 2})
# From a name to a tuple of learning rates.
_RATES_BY_NAME = ("optimizer_learning_rates", "network_learning_rates")


def check_types(config: Any, reference: ConfigDict, /, *, field: str = "config") -> None:
    """Refuses a ``config`` whose fields aren't those of ``reference``, in number or in type.

    Raises:
      ConfigError: one line that names the first such field, its value and what is allowed.
    """
    if not isinstance(config, ConfigDict):
        raise ConfigError(f"{field}: {_shown(config)} is not a group of fields")
    for name in config:
        if name not in reference:
            raise ConfigError(f"{field}: there is no field {name!r} in it")
    for name, usual in reference.items():
        if name not in config:
            raise ConfigError(f"{field}.{name}: missing")
        _check(config[name], usual, name, f"{field}.{name}")


def _shown(value: Any) -> str:
    return "a group of fields" if isinstance(value, ConfigDict) else repr(value)


def _check(value: Any, usual: Any, name: str, field: str) -> None:
    if name in _RATES_BY_NAME:
        _check_rates_by_name(value, field)
    elif isinstance(usual, ConfigDict):
        check_types(value, usual, field=field)
    elif isinstance(usual, tuple):
        _check_tuple(value, _ELEMENTS[name], field, length=_LENGTHS.get(name))
    else:
        _TYPES[type(usual)](value, field)


def _check_rates_by_name(value: Any, field: str) -> None:
    if not isinstance(value, Mapping | ConfigDict):
        raise ConfigError(f"{field}: {_shown(value)} is not learning rates by name")
    for name, rates in value.items():
        _check_str(name, field)
        _check_tuple(rates, float, f"{field}.{name}", length=None)


def _check_tuple(value: Any, element: type, field: str, *, length: int | None) -> None:
    if not isinstance(value, tuple | list):
        raise ConfigError(f"{field}: {_shown(value)} is not a tuple")
    if length is not None and len(value) != length:
        raise ConfigError(f"{field}: {_shown(value)} has not {length} elements")
    for one in value:
        _TYPES[element](one, field)


def _check_int(value: Any, field: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{field}: {_shown(value)} is not an integer")
    if abs(value) > LARGEST:
        raise ConfigError(f"{field}: {value} is beyond {LARGEST}, the largest there is")


def _check_float(value: Any, field: str) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ConfigError(f"{field}: {_shown(value)} is not a number")
    if not math.isfinite(value):
        raise ConfigError(f"{field}: {value} is not a finite, positive number")


def _check_str(value: Any, field: str) -> None:
    if not isinstance(value, str):
        raise ConfigError(f"{field}: {_shown(value)} is not text")
    if not value.isprintable():
        raise ConfigError(f"{field}: {_shown(value)} has characters that can't be printed")


def _check_bool(value: Any, field: str) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{field}: {_shown(value)} is neither True nor False")


_TYPES: Mapping[type, Callable[[Any, str], None]] = MappingProxyType(
    {int: _check_int, float: _check_float, str: _check_str, bool: _check_bool}
)
