"""Results go together, come apart and go through a file without a bit changed."""

import os

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.results import schema
from experiments.results.schema import ResultsError, labelled
from glorot_jax.files import write_netcdf
from tests.experiments import made_up


def _part(seed=0, rows=3):
    """A part with every kind of thing that a part holds: floats, NaN, integers, flags, labels."""
    rng = np.random.default_rng(seed)
    error = rng.random((rows, 4)).astype(np.float32)
    error[0, 1:3] = np.nan, np.inf
    return xr.Dataset(
        {
            "test_error": labelled("test_error", ("condition", "update"), error),
            "image": labelled("image", ("row", "column"), rng.random((2, 5))),
            "label": labelled("label", ("condition",), np.arange(rows, dtype=np.int32)),
            "finite": labelled("finite", ("condition",), np.arange(rows) > 0),
        },
        {
            "condition": [f"tanh-{row}" for row in range(rows)],
            "activation": ("condition", ["tanh"] * rows),
            "update": np.arange(4) * 10,
            "learning_rate": 0.1,
        },
        {"origin": "made up", "class_names": ["T", "T+P"], "width": 20},
    )


def _assert_same(found, expected):
    """Equal values, dimensions, attributes, and equal bits of every number."""
    assert set(found.variables) == set(expected.variables)
    assert set(found.coords) == set(expected.coords)
    for name, variable in expected.variables.items():
        ours, theirs = found[name].to_numpy(), variable.to_numpy()
        assert found[name].dims == variable.dims
        assert found[name].attrs == variable.attrs
        if theirs.dtype.kind in "fiub":
            assert ours.dtype == theirs.dtype
            assert ours.tobytes() == theirs.tobytes()
        else:
            np.testing.assert_array_equal(ours, theirs)
    assert found.attrs.keys() == expected.attrs.keys()
    for name, value in expected.attrs.items():
        np.testing.assert_array_equal(found.attrs[name], value)


def _assert_same_tree(found, expected):
    """The same groups, bit for bit, and the same attributes of the whole."""
    assert set(found.children) == set(expected.children)
    assert found.attrs == expected.attrs
    for name in expected.children:
        _assert_same(schema.find_group(found, name), schema.find_group(expected, name))


def test_a_tree_comes_apart_again():
    parts = {"mnist": _part(0), "shapeset": _part(1, rows=2)}
    whole = schema.build(parts, {"commit": "abc"})
    assert list(whole.children) == ["mnist", "shapeset"]
    assert whole.attrs["commit"] == "abc"
    assert not whole.variables
    assert not whole.dims
    for name, part in parts.items():
        _assert_same(schema.find_group(whole, name), part)
    assert schema.find_group(whole, "digits") is None


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,3}(_[a-z0-9]{1,3}){0,2}", fullmatch=True)


@settings(max_examples=40)
@given(
    st.dictionaries(
        NAMES, st.dictionaries(NAMES, st.integers(0, 5), min_size=1, max_size=3), max_size=4
    )
)
def test_any_names_come_apart(shapes):
    parts = {
        part: xr.Dataset(
            {name: ((f"d_{name}",), np.full(size, index)) for name, size in variables.items()},
            attrs={"note": part},
        )
        for index, (part, variables) in enumerate(shapes.items())
    }
    whole = schema.build(parts, {})
    assert list(whole.children) == list(parts)
    for name, part in parts.items():
        xr.testing.assert_identical(schema.find_group(whole, name), part)


@pytest.mark.parametrize("names", [["mnist"], ["mnist", "digits"]], ids=len)
def test_a_saved_file_is_the_same_bit_for_bit(names, tmp_path):
    whole = schema.build({name: _part(i) for i, name in enumerate(names)}, {"commit": "abc"})
    path = write_netcdf(whole, tmp_path / "results.nc")
    assert list(tmp_path.iterdir()) == [path]
    loaded = schema.load(path)
    assert list(loaded.children) == names
    _assert_same_tree(loaded, whole)
    for index, name in enumerate(names):
        _assert_same(schema.find_group(loaded, name), _part(index))
    again = write_netcdf(loaded, tmp_path / "again.nc")
    _assert_same_tree(schema.load(again), whole)


def test_a_loaded_file_can_be_replaced_while_it_is_in_use(tmp_path):
    path = write_netcdf(schema.build({"mnist": _part()}, {}), tmp_path / "results.nc")
    loaded = schema.load(path)
    write_netcdf(schema.build({"digits": _part()}, {}), path)
    assert list(loaded.children) == ["mnist"]
    assert list(schema.load(path).children) == ["digits"]


def test_a_full_disk_leaves_the_old_results(tmp_path, monkeypatch):
    whole = schema.build({"mnist": _part()}, {})
    path = write_netcdf(whole, tmp_path / "results.nc")

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_netcdf(schema.build({"digits": _part()}, {}), path)
    assert list(tmp_path.iterdir()) == [path]
    _assert_same_tree(schema.load(path), whole)


def _truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _corrupt(path):
    """Zeros over everything behind the signature."""
    path.write_bytes(path.read_bytes()[:8] + bytes(path.stat().st_size - 8))


def _text(path):
    path.write_text("# not netCDF\n")


def _empty(path):
    path.write_bytes(b"")


def _other_hdf5(path):
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(3)


def _other_netcdf(path):
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(path, engine="h5netcdf")


def _folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [_truncated, _corrupt, _text, _empty, _other_hdf5, _other_netcdf, _folder, os.unlink],
    ids=lambda spoil: spoil.__name__.strip("_"),
)
def test_a_file_that_is_no_results_file_is_one_line(spoil, tmp_path):
    path = write_netcdf(schema.build({"mnist": _part()}, {}), tmp_path / "results.nc")
    spoil(path)
    with pytest.raises(ResultsError) as caught:
        schema.load(path)
    message = str(caught.value)
    assert message.startswith(f"results file: {path} ")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "long_name", "units"),
    [
        ("activation_mean", "mean of activation z", "1"),
        ("weight_gradient_std", "standard deviation of weight gradient dC/dw", "1"),
        ("backprop_histogram", "fraction in each bin of back-propagated gradient", "1"),
        ("validation_error", "validation error", "fraction of examples"),
        ("test_cost", "test cost", "nat"),
        ("cross_entropy", "cross entropy", "nat"),
        ("plateau_cross_entropy", "plateau cross entropy", "1"),
        ("diverged_at", "diverged at", "updates"),
        ("chosen_learning_rate", "chosen learning rate", "per update"),
        ("singular_value", "singular value", "1"),
    ],
)
def test_labels(name, long_name, units):
    variable = labelled(name, ("a", "b"), np.ones((2, 3)))
    assert variable.dims == ("a", "b")
    assert variable.attrs["long_name"].startswith(long_name)
    assert variable.attrs["units"] == units


@pytest.mark.parametrize("group", ["activation", "backprop", "weight_gradient"])
def test_every_statistic_of_a_probe_has_a_meaning(group):
    for statistic in schema._MEANINGS:
        variable = labelled(f"{group}_{statistic}", (), 0.0)
        assert variable.attrs["long_name"] == (
            f"{schema._MEANINGS[statistic]} of {schema._SUBJECTS[group]}"
        )


def test_why_a_set_is_left_out_goes_through_a_file(tmp_path):
    reasons = {"cifar10": "cifar10: no files; fetch them", "small_imagenet": "two\nlines"}
    whole = schema.build({"mnist": _part()}, {"left_out": schema.reasons_to_json(reasons)})
    loaded = schema.load(write_netcdf(whole, tmp_path / "results.nc"))
    assert schema.left_out(loaded) == reasons
    assert schema.left_out(schema.build({}, {})) == {}


def test_a_report_needs_what_claims_and_figures_take_for_granted():
    whole = made_up.results()
    schema.check(whole, "results.nc")
    for name, lost in (
        *(("shapeset", "test_error"), ("surface", "quadratic"), ("initial", "activation")),
        *(("selection", "depth_error"), ("examples", "image_32"), ("baseline", "svm_test_error")),
    ):
        groups = schema.groups(whole)
        groups[name] = groups[name].drop_vars(lost)
        with pytest.raises(ResultsError) as caught:
            schema.check(schema.build(groups, {}), "results.nc")
        assert str(caught.value) == (
            f"results file: results.nc lacks {lost} in {name}: it is of another version; "
            "run the config again"
        )


def test_results_of_another_kind_are_refused():
    other = schema.build({"monitored": xr.Dataset({"s_std": ("update", [1.0])})}, {})
    with pytest.raises(ResultsError) as caught:
        schema.check(other, "a.nc")
    assert str(caught.value) == "results file: a.nc holds no results of this project"


def test_results_of_an_older_version_say_so(tmp_path):
    old = xr.Dataset({"mnist_a": ("x", [1.0])}, attrs={"parts": ["mnist"]})
    path = write_netcdf(old, tmp_path / "results.nc")
    with pytest.raises(ResultsError, match="older version"):
        schema.load(path)
