"""What a results file says of the config behind it."""

import json

import pytest

from experiments import configs
from experiments.configs.custom import with_custom
from experiments.provenance import CHANGED, changed_from_preset, provenance


@pytest.mark.parametrize("name", ["paper", "fig03", "long", "full_width"])
def test_a_config_as_it_is_named_is_not_changed(name):
    for preset in configs.presets(name):
        assert changed_from_preset(configs.named(name, preset)) == []


def test_what_was_overridden_is_named():
    config = configs.named("paper", "paper")
    config.seed, config.online.updates, config.online.pretraining.updates = 3, 20_000, 5
    config.online.network_learning_rates = {"tanh standard": (0.1,)}
    assert set(changed_from_preset(config)) == {
        "seed",
        "online.updates",
        "online.pretraining.updates",
        "online.network_learning_rates",
    }


def test_what_changes_no_result_is_not_named():
    config = configs.named("fig11", "quick")
    config.data_dir, config.checkpoint_seconds, config.compile_fast = "elsewhere", 1.0, True
    assert changed_from_preset(config) == []


def test_an_initialiser_of_ones_own_is_named_once():
    """It is in every stage's networks, which is one change and not ten."""
    config = configs.named("fig06", "smoke")
    config.custom_initializers = ("my.module:mine",)
    assert changed_from_preset(with_custom(config)) == ["custom_initializers"]


def test_a_config_of_ones_own_has_no_preset_to_differ_from():
    config = configs.named("paper", "smoke")
    config.name = "mine"
    assert changed_from_preset(config) is None
    assert CHANGED not in provenance(config, wall_time_s=1.0)


def test_results_carry_it_as_json():
    config = configs.named("fig05", "smoke")
    config.surface.nets = 3
    assert json.loads(provenance(config, wall_time_s=1.0)[CHANGED]) == ["surface.nets"]
