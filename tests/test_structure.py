"""Which room may import which: nothing upwards, nothing in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INNER = ("tracing", "measuring", "judging", "mending", "reporting")
WITHOUT_TRAINING = ("theory", "probes", "diagnosis")


def _module(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    _module(path): path
    for top in ("glorot_jax", "experiments")
    for path in (ROOT / top).rglob("*.py")
}


def _imported(name):
    """The project's modules that ``name`` imports, in functions too, but not for types alone."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    for node in _run(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def _run(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _run(child)


IMPORTS = {name: set(_imported(name)) - {name} for name in MODULES}


def _within(name, room):
    return name == room or name.startswith(f"{room}.")


def test_all_that_there_is_was_read():
    assert len(MODULES) > 100
    assert "glorot_jax.losses" in IMPORTS["glorot_jax.diagnosis.reporting.report"]


def test_the_instrument_does_not_know_the_paper():
    wrong = {
        name: [other for other in others if _within(other, "experiments")]
        for name, others in IMPORTS.items()
        if _within(name, "glorot_jax")
    }
    assert not any(wrong.values()), {name: others for name, others in wrong.items() if others}


@pytest.mark.parametrize("room", WITHOUT_TRAINING)
def test_what_measures_does_not_train(room):
    for name, others in IMPORTS.items():
        if _within(name, f"glorot_jax.{room}"):
            assert not [other for other in others if _within(other, "glorot_jax.training")], name


@pytest.mark.parametrize("room", INNER)
def test_inner_rooms_import_only_those_above_them(room):
    below = INNER[INNER.index(room) + 1 :]
    for name, others in IMPORTS.items():
        if _within(name, f"glorot_jax.diagnosis.{room}"):
            for other in others:
                assert not any(
                    _within(other, f"glorot_jax.diagnosis.{lower}") for lower in below
                ), f"{name} imports {other}"


def test_no_module_imports_itself_by_way_of_others():
    list(TopologicalSorter(IMPORTS).static_order())  # raises CycleError with the circle
