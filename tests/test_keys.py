"""Keys by name: one for each purpose, whatever else is drawn."""

import os
import subprocess
import sys

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from glorot_jax.keys import named

KEY = jax.random.key(7)
NAMES = st.text(min_size=1, max_size=20)


def data(key: jax.Array) -> tuple[int, ...]:
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


@given(names=st.lists(NAMES, unique=True, min_size=2, max_size=8))
def test_other_names_have_other_keys_in_whatever_order_they_are_made(names):
    keys = {name: data(named(KEY, name)) for name in names}
    assert len(set(keys.values())) == len(names)
    assert keys == {name: data(named(KEY, name)) for name in reversed(names)}


def test_a_name_s_key_is_the_same_in_every_process():
    shown = "from glorot_jax.keys import _hash; print(_hash('held out'))"
    once, again = (
        subprocess.run(
            [sys.executable, "-c", shown],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    )
    assert once == again


@settings(max_examples=20)  # each name is a program
@given(name=NAMES, number=st.integers(0, 2**31 - 1))
def test_numbers_count_instances_and_may_be_traced(name, number):
    key = named(KEY, name, number)
    assert data(key) == data(jax.random.fold_in(named(KEY, name), number))
    assert data(key) == data(jax.jit(lambda n: named(KEY, name, n))(number))
    assert data(key) != data(named(KEY, name, number + 1))


def test_another_key_gives_another_key():
    assert data(named(KEY, "weights")) != data(named(jax.random.key(8), "weights"))
