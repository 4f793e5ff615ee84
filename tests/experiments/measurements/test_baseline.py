"""An SVM and a net on the same samples: what is chosen, and that a killed run ends alike."""

from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr
from ml_collections import ConfigDict
from sklearn.svm import SVC

from experiments import training
from experiments.checkpoint import CheckpointError, Place
from experiments.measurements import baseline
from experiments.results.schema import find_group
from glorot_jax.keys import named
from tests.experiments import made_up
from tests.experiments.made_up_baseline import baseline_part

KEY = jax.random.key(3)
RANGE = (-1.0, 1.0)
SETTINGS = ConfigDict(
    {
        "training_examples": 130,
        "selection_examples": 90,
        "validation_examples": 60,
        "test_examples": 70,
        "seeds": 2,
        "svm_c": (1.0, 10.0),
        "svm_gamma": (0.5, 2.0, 8.0),
        "width": 12,
        "learning_rates": (0.03, 0.1, 1e38),
        "updates": 50,
        "points": 5,
        "batch_size": 10,
        "block_size": 50,
    }
)
FITS = 2 * 3 + 1


def measure(folder: Path, **changed: object) -> xr.Dataset:
    settings = ConfigDict({**SETTINGS.to_dict(), **changed})
    return baseline.measure(
        settings, pixel_range=RANGE, key=KEY, checkpoints=Place(folder, {}, seconds_between=0.0)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("baseline") / "checkpoints"


@pytest.fixture(scope="module")
def measured(folder: Path) -> xr.Dataset:
    return measure(folder)


@pytest.fixture
def samples() -> list[baseline.Sample]:
    """What the two seeds of ``measured`` learn from, in NumPy."""
    drawn = [baseline._draw(SETTINGS, named(KEY, "sample", seed), RANGE) for seed in range(2)]
    return jax.tree.map(np.asarray, drawn)


def test_the_schema_is_that_of_the_made_up_part(measured):
    wanted = baseline_part()
    assert {name: measured[name].dims for name in measured} == {
        name: wanted[name].dims for name in wanted
    }
    assert set(measured.coords) == set(wanted.coords)
    assert set(measured.attrs) == set(wanted.attrs)
    assert measured["update"].values.tolist() == [0, 10, 20, 30, 40, 50]
    assert measured.attrs["selection_examples"] == 90
    whole = made_up.results(baseline=measured)
    xr.testing.assert_equal(find_group(whole, "baseline"), measured)


def test_no_selection_beyond_the_sample(folder, measured):
    assert measure(folder, selection_examples=1000).attrs["selection_examples"] == 130


def test_samples_have_the_sizes_asked_for_and_share_no_image(samples):
    for sample in samples:
        assert [len(batch.y) for batch in sample] == [130, 60, 70]
        assert all(len(batch.x) == len(batch.y) for batch in sample)
    images = np.concatenate([batch.x for sample in samples for batch in sample])
    assert len(np.unique(images, axis=0)) == len(images)


def test_the_svm_is_chosen_on_validation_and_fitted_on_the_whole_sample(measured, samples):
    for seed, sample in enumerate(samples):
        found = measured.isel(seed=seed)
        unit = 1 / (1024 * sample.train.x.astype(np.float64).var())

        def fit(n, c, gamma, train=sample.train, unit=unit):
            return SVC(C=c, gamma=gamma * unit).fit(train.x[:n].astype(np.float64), train.y[:n])

        def error(machine, batch):
            return np.mean(machine.predict(batch.x.astype(np.float64)) != batch.y)

        grid = [(c, gamma) for c in SETTINGS.svm_c for gamma in SETTINGS.svm_gamma]
        errors = [error(fit(90, *place), sample.validation) for place in grid]
        np.testing.assert_allclose(found["svm_validation_error"].values.ravel(), errors)
        c, gamma = grid[int(np.argmin(errors))]
        assert (found["svm_chosen_c"], found["svm_chosen_gamma"]) == (c, gamma)
        last = fit(130, c, gamma)
        np.testing.assert_allclose(found["svm_test_error"], error(last, sample.test))
        assert found["svm_support_vectors"] == len(last.support_)


def test_the_net_is_that_of_least_validation_error(measured):
    for seed in range(2):
        found = measured.isel(seed=seed)
        where = {
            "learning_rate": found["net_chosen_learning_rate"],
            "update": found["net_chosen_update"],
        }
        validation = found["net_validation_error"]
        assert validation.sel(where) == validation.min() < validation.isel(update=0).min()
        assert found["net_test_error"] == found["net_test_error_course"].sel(where)
    # Every sample has its own images and its own start, and a rate at which a net diverges loses.
    assert (
        not measured["net_test_error_course"]
        .isel(seed=0)
        .equals(measured["net_test_error_course"].isel(seed=1))
    )
    assert (measured["net_validation_error"].isel(learning_rate=2, update=-1) == 1).all()


def test_errors_are_fractions_of_the_set_that_they_are_measured_on(measured):
    for name, examples in (("svm_validation", 60), ("net_validation", 60), ("net_test", 70)):
        wrong = measured[f"{name}_error"].values * examples
        np.testing.assert_allclose(wrong, np.round(wrong), atol=1e-4)


def test_a_finished_run_is_read_and_not_made_again(folder, measured, monkeypatch):
    def never(*_, **__):
        raise AssertionError("fitted again")

    monkeypatch.setattr(baseline.svm, "fit", never)
    xr.testing.assert_identical(measure(folder), measured)


def test_a_run_killed_in_the_second_svm_goes_on(measured, monkeypatch, tmp_path):
    fit, fitted = baseline.svm.fit, []

    def counting(*args, **options):
        if len(fitted) == FITS + 3:
            raise KeyboardInterrupt
        fitted.append(options)
        return fit(*args, **options)

    monkeypatch.setattr(baseline.svm, "fit", counting)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path)
    fitted.clear()
    xr.testing.assert_identical(measure(tmp_path), measured)
    assert len(fitted) == FITS


def test_a_run_killed_in_a_net_goes_on(measured, monkeypatch, tmp_path):
    save, saves = training.Checkpoints.save, []

    def counting(self, step, state):
        save(self, step, state)
        saves.append(step)
        if saves.count(0) == 2 and step >= 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(training.Checkpoints, "save", counting)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path)
    first_net, killed_at = saves[: saves.index(50) + 1], saves[-1]
    assert set(range(0, 51, 10)) <= set(first_net)
    saves.clear()
    xr.testing.assert_identical(measure(tmp_path), measured)
    assert set(range(killed_at + 10, 51, 10)) <= set(saves)
    assert all(killed_at < step <= 50 for step in saves), "what was saved is trained again"


def test_a_damaged_file_is_named_in_one_line(folder, measured, tmp_path):
    damaged = tmp_path / "svm-0.npz"
    damaged.write_bytes((folder / damaged.name).read_bytes()[:100])
    with pytest.raises(CheckpointError) as refusal:
        measure(tmp_path)
    assert str(damaged) in str(refusal.value)
    assert "\n" not in str(refusal.value)
