"""What every test runs under: strict numerics, two CPU devices, compiled programs that are kept."""

import os
import shutil
from pathlib import Path

import hypothesis
import jax
import pytest

TEST_DATA = "GLOROT_JAX_TEST_DATA"
# What takes longest begins first, so that no worker is left alone with it at the end.
LONGEST = (
    "test_two_processes.py",
    "test_launch.py",
    "test_configs.py",
    "test_resume.py",
    "test_docs.py",
    "test_verdicts.py",
    "test_site_statistics.py",
    "test_prediction.py",
    "test_adding_pages.py",
)

hypothesis.settings.register_profile("glorot_jax", deadline=None, derandomize=True)
hypothesis.settings.load_profile("glorot_jax")

# XLA's older way to compile a fusion takes half as long, and a small program is not worth
# dividing among threads. Flags are read before the first program.
FLAGS = (
    "--xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters"
    " --xla_cpu_parallel_codegen_split_count=1"
)
# Of a run about 100 MB; programs of code that has changed since are never read again.
KEPT_BYTES = 2**30


def compiled(config: pytest.Config) -> str:
    """Where programs are kept from run to run; pytest's --cache-clear empties it."""
    folder = config.cache.mkdir("compiled")
    if sum(path.stat().st_size for path in folder.iterdir()) > KEPT_BYTES:
        shutil.rmtree(folder)
        folder.mkdir()
    return str(folder)


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # pytest-xdist's own order: most tests, not longest
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}".strip()
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_num_cpu_devices", 2)
    # Many small programs, each run a few times: compiling takes longer than running.
    # The environment carries this and the cache to the workers, and to the programs tests start.
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR") or compiled(config)
    for option, value in (
        ("jax_disable_most_optimizations", True),
        ("jax_compilation_cache_dir", cache),
        ("jax_persistent_cache_min_compile_time_secs", 0.0),
        ("jax_persistent_cache_min_entry_size_bytes", -1),
    ):
        jax.config.update(option, value)
        os.environ[option.upper()] = str(value)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    # Files share few programs, and those are on disk; kept, they take gigabytes.
    if nextitem is None or nextitem.path != item.path:
        jax.clear_caches()


@pytest.fixture(scope="session")
def test_data_dir() -> Path:
    """The folder of reference data that the project doesn't ship."""
    folder = os.environ.get(TEST_DATA)
    if not folder:
        pytest.skip(f"{TEST_DATA} is not set: the reference data is not part of the project")
    if not Path(folder).is_dir():
        pytest.skip(f"{TEST_DATA}: {folder} is not a folder")
    return Path(folder)
