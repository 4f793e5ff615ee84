"""Records written in three ways, and read back by means that aren't the project's own."""

import builtins
import contextlib
import itertools
import json
import resource
import struct
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from glorot_jax.diagnosis import QUANTILES
from glorot_jax.diagnosis.measuring.site_statistics import Statistics
from glorot_jax.diagnosis.reporting import writers
from glorot_jax.diagnosis.reporting.monitor import monitor
from glorot_jax.losses import cross_entropy
from tests.diagnosis.models import labels, traced

UPDATES, EVERY = 7, 3
MEASURED = list(range(0, UPDATES, EVERY))


@cache
def _trained():
    """Two seeds of a scanned model through one scan of updates, statistics [seed, update, ..]."""
    model, _ = traced("scanned_remat")

    def step(params, update):
        def cost(p):
            return jnp.mean(cross_entropy(model.apply(p, model.x), labels()))

        measured = monitor(model.apply, params, model.x, labels(), when=update % EVERY == 0)
        return jax.tree.map(lambda p, g: p - 0.05 * g, params, jax.grad(cost)(params)), measured

    def train(params):
        return jax.lax.scan(step, params, jnp.arange(UPDATES))[1]

    seeds = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), model.params)
    return jax.jit(jax.vmap(train))(seeds)


def _history():
    return writers.records(range(UPDATES), _trained(), axis=1)


def _one_seed():
    return [(update, jax.tree.map(lambda a: a[0], one)) for update, one in _history()]


def _write(writer, history):
    for update, one in history:
        writer.write(update, one)
    writer.close()


def _made_up(value, sites=("first", "second")):
    quantiles = np.full((len(sites), len(QUANTILES)), value, np.float32)
    return Statistics({"s_std": quantiles[:, 0], "s_quantile": quantiles}, sites)


def test_records_of_a_scan_are_those_that_were_measured():
    history, stacked = _history(), _trained()
    assert [update for update, _ in history] == MEASURED
    for update, one in history:
        assert one.sites == stacked.sites
        assert one.values.keys() == stacked.values.keys()
        for name, values in one.values.items():
            np.testing.assert_array_equal(values, stacked.values[name][:, update])
    with pytest.raises(ValueError, match=r"^updates: 3 for 7 entries along axis 1$"):
        writers.records(range(3), _trained(), axis=1)


def test_a_dataset_has_every_number_and_says_what_it_is(tmp_path):
    dataset = writers.to_dataset(_history())
    path = tmp_path / "monitored.nc"
    dataset.to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), dataset)
    assert dataset["update"].values.tolist() == MEASURED
    assert dataset["quantile"].values.tolist() == list(QUANTILES)
    for name, values in _trained().values.items():
        assert dataset[name].dims[:3] == ("update", "seed", "site")
        for i, update in enumerate(MEASURED):
            np.testing.assert_array_equal(dataset[name][i], values[:, update])
    for variable in dataset.data_vars.values():
        assert len(variable.attrs["long_name"]) > 5
        assert variable.attrs["units"] == "1"
    stds = dataset["s_std"].sel(site="middle/w[2]")
    assert (stds.diff("update") != 0).all()


def test_a_dataset_of_one_seed_has_no_seed_axis_and_skips_what_was_not_measured():
    nothing = (1, _made_up(np.nan))
    dataset = writers.to_dataset([(0, _made_up(1.0)), nothing, (np.int32(2), _made_up(2.0))])
    assert dataset["s_std"].dims == ("update", "site")
    assert dataset["s_quantile"].dims == ("update", "site", "quantile")
    assert dataset["s_std"].sel(site="second").values.tolist() == [1, 2]
    assert dataset["update"].values.tolist() == [0, 2]


def test_a_history_of_nothing_or_of_two_models_is_refused():
    with pytest.raises(ValueError, match=r"^history: holds no measurements$"):
        writers.to_dataset([(0, _made_up(np.nan))])
    with pytest.raises(ValueError, match=r"^history: update 5 has other sites than update 1$"):
        writers.to_dataset([(1, _made_up(1.0)), (5, _made_up(1.0, ("other",)))])
    stacked = jax.tree.map(lambda a: np.stack([[a]]), _made_up(1.0))
    with pytest.raises(
        ValueError, match=r"^statistics: s_quantile of one update is 1x1x2x3, not \[seed, site, q"
    ):
        writers.to_dataset([(0, stacked)])


def test_json_lines_are_json_with_every_number(tmp_path):
    path = tmp_path / "monitored.jsonl"
    _write(writers.json_lines(path), [*_one_seed(), (9, _made_up(np.nan))])

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    lines = [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
    assert [line["update"] for line in lines] == MEASURED
    for line, (_, one) in zip(lines, _one_seed(), strict=True):
        assert tuple(line["sites"]) == one.sites
        for name, values in one.values.items():
            read = np.array(line["values"][name], float)
            np.testing.assert_array_equal(read, values)
    # Nothing follows the logits, so their site has a null.
    assert lines[0]["values"]["dead"][-1] is None


def test_json_lines_come_back_as_they_were(tmp_path):
    path = tmp_path / "monitored.jsonl"
    _write(writers.json_lines(path), _history())
    xr.testing.assert_identical(
        writers.to_dataset(writers.read_json_lines(path)), writers.to_dataset(_history())
    )


def test_json_lines_go_on_after_a_kill_at_any_byte(tmp_path):
    path, rest = tmp_path / "monitored.jsonl", tmp_path / "whole.jsonl"
    _write(writers.json_lines(rest), [(0, _made_up(0.0)), (1, _made_up(1.0))])
    whole = rest.read_bytes()
    first = whole.index(b"\n") + 1
    for kept in range(len(whole) + 1):
        path.write_bytes(whole[:kept])
        before = [0] * (kept >= first) + [1] * (kept == len(whole))
        assert [update for update, _ in writers.read_json_lines(path)] == before
        _write(writers.json_lines(path), [(2, _made_up(2.0))])
        assert [update for update, _ in writers.read_json_lines(path)] == [*before, 2]


def test_of_an_update_done_twice_the_last_counts(tmp_path):
    path = tmp_path / "monitored.jsonl"
    _write(writers.json_lines(path), [(0, _made_up(0.0)), (4, _made_up(4.0))])
    _write(writers.json_lines(path), [(4, _made_up(5.0)), (2, _made_up(2.0)), (8, _made_up(8.0))])
    read = writers.read_json_lines(path)
    assert [(u, one.values["s_std"][0]) for u, one in read] == [(0, 0), (2, 2), (4, 5), (8, 8)]


@pytest.mark.parametrize("line", ["{", "3", "{}", '{"update": 1, "sites": [], "values": 3}'])
def test_a_file_of_something_else_is_refused(tmp_path, line):
    path = tmp_path / "other.jsonl"
    path.write_text(f'{{"update": 0, "sites": [], "values": {{}}}}\n{line}\n')
    with pytest.raises(ValueError, match=f"^{path}: line 2 is not a record of statistics$"):
        writers.read_json_lines(path)


def _events(folder):
    """Scalars by (tag, step), read as the TFRecord format is written down."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in folder.iterdir():
        data = path.read_bytes()
        while data:
            # Length, its checksum, that many bytes, their checksum.
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            for value in event.summary.value:
                assert (value.tag, event.step) not in found
                found[value.tag, event.step] = value.simple_value
    return found


def _expected(history):
    """One scalar for each number that isn't NaN."""
    found = {}
    for update, one in history:
        for name, values in one.values.items():
            rest = [f"_{q}" for q in QUANTILES] if name.endswith("_quantile") else [""]
            for (i, site), (j, suffix) in itertools.product(enumerate(one.sites), enumerate(rest)):
                value = values[i] if suffix == "" else values[i, j]
                if not np.isnan(value):
                    found[f"{site}/{name}{suffix}", update] = value
    return found


def test_tensorboard_events_hold_every_number(tmp_path):
    pytest.importorskip("tensorboardX")
    first, *later = _one_seed()
    _write(writers.tensorboard(tmp_path / "runs"), [first])
    # A run that goes on has another file, even within the second that names it.
    _write(writers.tensorboard(tmp_path / "runs"), [*later, (9, _made_up(np.nan))])
    found, expected = _events(tmp_path / "runs"), _expected(_one_seed())
    assert found == expected
    assert ("middle/w[3]/s_quantile_0.5", MEASURED[-1]) in found


def test_tensorboard_tells_seeds_apart(tmp_path):
    pytest.importorskip("tensorboardX")
    _write(writers.tensorboard(tmp_path), _history())
    found = _events(tmp_path)
    for seed in range(2):
        value = _history()[1][1].values["s_std"][seed, 0]
        assert found[f"first/w/s_std/seed_{seed}", MEASURED[1]] == value


def test_tensorboard_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def missing(name, *args):
        if name.startswith("tensorboardX"):
            raise ModuleNotFoundError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install glorot_jax\[tensorboard\]$"):
        writers.tensorboard(tmp_path)


@pytest.mark.parametrize("make", [writers.json_lines, writers.tensorboard])
def test_a_path_that_cannot_be_written_is_named(tmp_path, make):
    pytest.importorskip("tensorboardX")
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "inside"
    with pytest.raises(OSError, match=rf"{path} can't be written: Not a directory$"):
        make(path)


@contextlib.contextmanager
def _no_file_grows_beyond(size):
    """The system's own refusal of a write, after a part of it has been done."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_halfway_names_the_path_and_leaves_whole_lines(tmp_path):
    path = tmp_path / "monitored.jsonl"
    writer = writers.json_lines(path)
    writer.write(0, _made_up(0.0))
    with (
        pytest.raises(OSError, match=rf"{path} can't be written: File too large$"),
        _no_file_grows_beyond(path.stat().st_size + 10),
    ):
        writer.write(1, _made_up(1.0))
    assert not path.read_bytes().endswith(b"\n")
    writer.write(2, _made_up(2.0))
    assert [update for update, _ in writers.read_json_lines(path)] == [0, 2]


def test_an_event_that_cannot_be_written_names_the_folder(tmp_path):
    pytest.importorskip("tensorboardX")
    writer = writers.tensorboard(tmp_path)
    (file,) = tmp_path.iterdir()
    with (
        pytest.raises(OSError, match=rf"{tmp_path} can't be written: File too large$"),
        _no_file_grows_beyond(file.stat().st_size + 10),
    ):
        writer.write(1, _made_up(1.0))
    writer.close()


def test_a_writer_can_be_called_from_inside_a_program(tmp_path):
    path = tmp_path / "monitored.jsonl"
    writer = writers.json_lines(path)

    @jax.jit
    def step(update, value):
        measured = Statistics({"s_std": value[None]}, ("only",))
        jax.debug.callback(writer.write, update, measured, ordered=True)
        return update + 1

    update = jnp.zeros((), jnp.int32)
    for value in (0.5, np.nan, 1.5):
        update = step(update, jnp.float32(value))
    jax.effects_barrier()
    read = writers.read_json_lines(path)
    assert [(u, one.values["s_std"].tolist()) for u, one in read] == [(0, [0.5]), (2, [1.5])]
