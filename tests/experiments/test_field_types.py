"""A config of whatever a person writes is run or refused in one line."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict

from experiments.configs import base
from experiments.errors import ConfigError
from experiments.validate import validate

SMOKE = base.paper("smoke")


def _paths(config: ConfigDict, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, value in config.items():
        found.append((*prefix, name))
        if isinstance(value, ConfigDict):
            found += _paths(value, (*prefix, name))
    return found


PATHS = _paths(SMOKE)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 200),
    st.sampled_from([2**31, 2**63, -(2**70), 10**12]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["tanh standard", "relu", "mnist", "online", "a:b", "os:getcwd", "(", "1"]),
    st.binary(max_size=3),
)
VALUES = st.one_of(
    SCALARS,
    st.tuples(SCALARS),
    st.lists(SCALARS, max_size=3).map(tuple),
    st.dictionaries(st.text(max_size=3), SCALARS, max_size=2),
)


def _changed(changes: list[tuple[tuple[str, ...], Any]]) -> ConfigDict:
    config = copy.deepcopy(SMOKE)
    for path, value in changes:
        group = config
        for name in path[:-1]:
            group = group[name] if isinstance(group, ConfigDict) and name in group else None
        if isinstance(group, ConfigDict):
            with group.unlocked(), group.ignore_type():
                group[path[-1]] = value
    return config


@given(changes=st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3))
@settings(max_examples=1000, deadline=None, derandomize=True)
def test_whatever_is_written_is_valid_or_refused_in_one_line(changes):
    refusals = []
    try:
        validate(_changed(changes))
    except ConfigError as refusal:
        refusals.append(str(refusal))
    assert all(line.startswith("config") and line.isprintable() for line in refusals)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("online.depths", (1.5,), "config.online.depths: 1.5 is not an integer"),
        ("online.depths", (True,), "config.online.depths: True is not an integer"),
        ("online.learning_rates", ("a",), "config.online.learning_rates: 'a' is not a number"),
        ("online.learning_rates", 0.1, "config.online.learning_rates: 0.1 is not a tuple"),
        ("seed", 2**63, "config.seed: 9223372036854775808 is beyond 2147483647"),
        ("pixel_range", ("a", "b"), "config.pixel_range: 'a' is not a number"),
        ("pixel_range", (0.0,), r"config.pixel_range: \(0.0,\) has not 2 elements"),
        ("checkpoint_seconds", float("inf"), "config.checkpoint_seconds: inf is not a finite"),
        ("compile_fast", 1, "config.compile_fast: 1 is neither True nor False"),
        ("data_dir", None, "config.data_dir: None is not text"),
        ("surface", 3, "config.surface: 3 is not a group of fields"),
        ("online.network_learning_rates", 3, "config.online.network_learning_rates: 3 is not"),
    ],
)
def test_a_value_of_another_type_is_named(field, value, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        validate(_changed([(tuple(field.split(".")), value)]))


def test_a_field_too_many_and_one_too_few_are_named():
    more, fewer = copy.deepcopy(SMOKE), copy.deepcopy(SMOKE)
    with more.unlocked():
        more.online.momentum = 0.9
    with pytest.raises(ConfigError, match=r"^config.online: there is no field 'momentum' in it$"):
        validate(more)
    with fewer.unlocked():
        del fewer.online.width
    with pytest.raises(ConfigError, match=r"^config.online.width: missing$"):
        validate(fewer)


@pytest.mark.parametrize(
    ("field", "value"), [("online.width", 10**7), ("surface.grid", 10**7), ("online.seeds", 10**8)]
)
def test_what_can_not_fit_in_memory_is_refused_with_an_estimate(field, value):
    with pytest.raises(ConfigError, match=r"^config\.\w+: .* take about [\d,]+ GiB of memory"):
        validate(_changed([(tuple(field.split(".")), value)]))
