"""Stages draw from keys of their own."""

import jax
import numpy as np
import pytest
import xarray as xr

from experiments import launch, running
from experiments.configs import base
from experiments.stages import STAGES


@pytest.fixture
def keys_of(tmp_path, monkeypatch):
    """A function of stages that gives the key which each gets in a run of all of them."""

    def run(stages):
        keys = {}

        def recording(stage):
            def measure(config, key, folder):
                del config, folder
                keys[stage] = tuple(np.asarray(jax.random.key_data(key)).tolist())
                return stage, xr.Dataset({"nothing": ((), 0.0)})

            return measure

        monkeypatch.setattr(running, "STAGES", {stage: recording(stage) for stage in stages})
        monkeypatch.setattr(running, "write_report", lambda *_: tmp_path)
        config = base.paper("smoke")
        config.stages = tuple(stages)
        launch.run(config, str(tmp_path / "-".join(stages)))
        return keys

    return run


def test_another_stage_more_or_less_changes_no_key(keys_of):
    stages = ("surface", "initial", "online", "costs")
    keys = keys_of(stages)
    assert len(set(keys.values())) == len(stages)
    assert keys_of(("examples", *stages)) == {**keys_of(("examples",)), **keys}
    assert keys_of(stages[::-1][:2]) == {stage: keys[stage] for stage in ("costs", "online")}


def test_no_two_stages_share_a_key(keys_of):
    assert len(set(keys_of(tuple(STAGES)).values())) == len(STAGES)
