"""Objects of a user's own code, named by a path like ``package.module:name``."""

import importlib
from operator import attrgetter
from typing import Any

import jax

# Whatever a user's module or function raises. One that exits isn't to end the program with its own
# status, which may be 0.
FAILURES = (Exception, SystemExit)


def is_path(name: str) -> bool:
    """Whether ``name`` is written as a path and not as one of our own names."""
    return ":" in name


def load(path: str) -> Any:
    """The object at ``package.module:name``; its module is imported.

    Raises:
      ValueError: the path is malformed, its module can't be imported, or it has no such name.
    """
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *name.split("."))):
        raise ValueError(f"{path}: is not of the form package.module:name")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ValueError(f"{path}: there is no module {error.name}") from error
    except FAILURES as error:
        raise ValueError(f"{path}: importing {module_name} fails ({reason(error)})") from error
    try:
        return attrgetter(name)(module)
    except AttributeError:
        raise ValueError(f"{path}: there is no {name} in {module_name}") from None


def is_array(made: Any, shape: tuple[int, ...], dtype: Any) -> bool:
    """Whether ``made``, what ``jax.eval_shape`` found, is one array of that shape and dtype."""
    return isinstance(made, jax.ShapeDtypeStruct) and (made.shape, made.dtype) == (shape, dtype)


def reason(error: BaseException) -> str:
    """What went wrong, in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
