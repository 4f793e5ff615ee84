"""The cases, a file a kind of sickness; a healthy case stands with what it resembles."""

import importlib
import pkgutil

from benchmarks.clinic.kit import CASES, Case


def all_cases() -> tuple[Case, ...]:
    """All cases, by file and then in the order of the file."""
    for room in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{room}")
    return tuple(sorted(CASES.values(), key=lambda case: case.room))


def chosen_cases(names: list[str] | None) -> tuple[Case, ...]:
    """The named cases in the clinic's order, all without names.

    Raises:
      ValueError: a name that no case has.
    """
    cases = all_cases()
    if not names:
        return cases
    unknown = sorted(set(names) - {case.name for case in cases})
    if unknown:
        raise ValueError(f"no case is named {', '.join(unknown)}; --list names all")
    return tuple(case for case in cases if case.name in names)
