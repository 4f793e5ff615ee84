"""Each page that says how to add something, followed to the letter in a copy of the project.

A block with a title is a file, or added to the end of one; a diff is a change of one; the lines of
a shell block are run.
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("glorot_jax", "experiments", "tests", "pyproject.toml", "setup.cfg")
BLOCK = re.compile(r'^( *)```(py|diff|sh)(?: title="([^"]+)")?\n(.*?)^\1```$', re.DOTALL | re.M)
PAGES = ("adding_an_initializer", "adding_a_probe", "adding_an_experiment")
TIMEOUT = 900


def _follow(page, folder):
    """Does what every block of ``page`` says; returns what its commands printed."""
    printed = []
    for indent, kind, title, text in BLOCK.findall(page):
        block = textwrap.dedent(text) if indent else text
        if kind == "py":
            with (folder / title).open("a", encoding="utf-8") as file:
                file.write(block)
        elif kind == "diff":
            _run(["patch", "--strip=1", "--fuzz=0", "--no-backup-if-mismatch"], folder, given=block)
        else:
            printed += [_run(["bash", "-ec", line], folder) for line in block.splitlines()]
    return printed


def _run(command, folder, given=None):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=folder,
        input=given,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def copy(tmp_path):
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name)  # and what Python compiled of it
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_followed_works(name, copy):
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    printed = _follow(page, copy)
    assert len(printed) == sum(
        len(text.splitlines()) for _, kind, _, text in BLOCK.findall(page) if kind == "sh"
    )


def test_every_page_is_followed_or_has_nothing_to_follow():
    with_blocks = {
        path.stem for path in (ROOT / "docs").glob("adding_*.md") if "```" in path.read_text()
    }
    assert with_blocks == set(PAGES)
