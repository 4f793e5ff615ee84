"""Studies, data sets and exhibits: what one table lists, every other has."""

from dataclasses import FrozenInstanceError

import pytest
from ml_collections import ConfigDict

from experiments.configs import base
from experiments.data.registry import DATA_SETS, FINITE, SHAPESET, STAND_IN
from experiments.errors import ConfigError
from experiments.exhibits import EXHIBITS
from experiments.networks import parse
from experiments.report.figures import FIGURES, available, in_order
from experiments.stages import STAGES
from experiments.studies import STUDIES
from tests.experiments import made_up


def test_every_figure_is_an_exhibit_in_its_order():
    assert list(FIGURES) == [key for key in EXHIBITS if key in FIGURES]
    assert set(EXHIBITS) - set(FIGURES) == {"table1", "fashion_mnist"}
    assert all(exhibit.title for exhibit in EXHIBITS.values())


def test_a_figure_that_nothing_lists_is_an_error():
    with pytest.raises(ValueError, match="figures: fig13 not in EXHIBITS"):
        in_order({**FIGURES, "fig13": FIGURES["fig12"]})
    without = {key: spec for key, spec in FIGURES.items() if key != "fig05"}
    with pytest.raises(ValueError, match="exhibits: fig05 neither drawn nor in TABLES"):
        in_order(without)


@pytest.mark.parametrize("name", [*STUDIES, *DATA_SETS, "examples", "surface", "initial"])
def test_every_group_has_a_figure(name):
    makers = {"examples": made_up.examples_part, "surface": made_up.surface_part}
    makers |= {"initial": made_up.initial_part}
    makers |= {study: getattr(made_up, f"{study}_part") for study in STUDIES}
    group = makers.get(name, lambda: made_up.training_part(name))()
    assert available(made_up.results(**{name: group}))


def test_every_exhibit_needs_stages_that_there_are():
    for exhibit in EXHIBITS.values():
        assert exhibit.stages
        assert set(exhibit.stages) <= set(STAGES)


def test_every_stage_is_shown():
    assert {stage for exhibit in EXHIBITS.values() for stage in exhibit.stages} == set(STAGES)


def test_every_study_is_a_stage_an_exhibit_and_no_data_set():
    assert set(STUDIES) <= set(STAGES) & set(EXHIBITS)
    assert not set(STUDIES) & set(DATA_SETS)
    for study in STUDIES.values():
        assert study.name in EXHIBITS[study.name].stages
        assert study.title


@pytest.mark.parametrize("preset", base.PRESETS)
@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_a_study_s_config_is_its_networks_and_sizes(study, preset):
    config = base.paper(preset)[study.name]
    sizes = dict(study.sizes.get(preset, {}))
    networks = sizes.pop("networks", study.networks)
    assert [parse(text, field="f") for text in config.conditions] == list(networks)
    for name, value in sizes.items():
        found = config[name]
        assert (found.to_dict() if isinstance(found, ConfigDict) else found) == value


def test_what_is_not_listed_is_refused():
    with pytest.raises(ConfigError, match=r"config: 'fig13' is not one of fig01, fig02"):
        base.figure("fig13", "smoke")
    with pytest.raises(FrozenInstanceError):
        STUDIES["costs"].title = "another"


def test_stand_ins_stand_in_for_sets_of_the_paper():
    for wanted, stand_in in STAND_IN.items():
        assert DATA_SETS[stand_in].stands_in_for == wanted
        assert wanted in FINITE
        assert stand_in in FINITE
    assert set(FINITE) | {SHAPESET} == set(DATA_SETS)
