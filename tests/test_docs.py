"""Every Python block of README and docs runs as it stands, in the order of its page."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_CODE = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")]
WIDTH, CLASSES, N = 8, 3, 24


def _init(key):
    first, last = jax.random.split(key)
    return {
        "first": jax.random.normal(first, (WIDTH, WIDTH)) * WIDTH**-0.5,
        "last": jax.random.normal(last, (WIDTH, CLASSES)) * WIDTH**-0.5,
    }


def _apply(params, x):
    return jnp.tanh(x @ params["first"]) @ params["last"]


def _given():
    """What a page may speak of without making it: JAX, and somebody's model."""
    x = jax.random.normal(jax.random.key(1), (N, WIDTH))
    y = jnp.arange(N) % CLASSES
    return {
        "jax": jax,
        "apply_fn": _apply,
        "params": _init(jax.random.key(0)),
        "init": _init,
        "stacked": jax.vmap(_init)(jax.random.split(jax.random.key(2), 20)),
        "x": x,
        "y": y,
        "probe_batch": (x, y),
    }


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(page)
    if page.parent.name != "api" and page.name != "README.md":
        document.namespace.update(_given())
    blocks = list(document.examples())
    assert len(blocks) == page.read_text(encoding="utf-8").count("```python")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for block in blocks:
            block.evaluate()
