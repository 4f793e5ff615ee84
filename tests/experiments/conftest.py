"""One whole run at ``smoke``, shared by the tests that look at what a run leaves behind."""

from pathlib import Path

import pytest
from ml_collections import ConfigDict

from experiments import launch
from experiments.configs import base


def smoke_config() -> ConfigDict:
    """The whole paper at ``smoke``, on data that needs no files."""
    config = base.paper("smoke")
    config.data_dir = "no-such-folder"
    config.mnist.dataset = "digits"
    return config


@pytest.fixture
def config() -> ConfigDict:
    return smoke_config()


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the whole paper at ``smoke``."""
    folder = tmp_path_factory.mktemp("smoke")
    launch.run(smoke_config(), str(folder))
    return folder
