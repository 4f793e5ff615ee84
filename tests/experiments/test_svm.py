"""The machine is scikit-learn's own RBF SVC, pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC

from experiments import svm

LABELS = np.array([7, 2, 5, 11])


def _examples(seed, n, *, classes=4):
    """Overlapping clouds around random centres, in float32 as images are."""
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, n)
    centres = 1.5 * np.random.default_rng(seed + 1).standard_normal((classes, 6))
    x = centres[y] + random.standard_normal((n, 6))
    return x.astype(np.float32), LABELS[y]


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    c=st.floats(0.1, 100),
    gamma=st.floats(0.01, 2),
    classes=st.integers(2, 4),
)
def test_as_scikit_learns_own(seed, c, gamma, classes):
    x, y = _examples(seed, 60, classes=classes)
    new, _ = _examples(seed + 2, 200, classes=classes)
    ours = svm.fit(x, y, c=c, gamma=gamma)
    theirs = SVC(C=c, gamma=gamma, decision_function_shape="ovo").fit(x.astype(np.float64), y)
    assert ours.support_vectors == len(theirs.support_)
    np.testing.assert_array_equal(svm.predict(ours, new), theirs.predict(new.astype(np.float64)))


def test_in_chunks_as_at_once(monkeypatch):
    machine = svm.fit(*_examples(1, 80), c=1.0, gamma=0.2)
    x, y = _examples(2, 100)
    at_once = svm.predict(machine, x)
    monkeypatch.setattr(svm, "ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(svm.predict(machine, x), at_once)
    assert svm.error(machine, x, y) == np.mean(at_once != y) > 0


def test_examples_off_every_decision_are_no_support_vectors():
    x = np.array([[-3.0], [-1.0], [1.0], [3.0]])  # nearly a line to so wide a kernel
    machine = svm.fit(x, np.array([0, 0, 1, 1]), c=100.0, gamma=0.01)
    assert machine.support_vectors == 2
    np.testing.assert_array_equal(svm.predict(machine, x), [0, 0, 1, 1])


def test_one_class_only():
    x = np.zeros((3, 2))
    machine = svm.fit(x, np.array([5, 5, 5]), c=1.0, gamma=1.0)
    assert svm.predict(machine, x).tolist() == [5, 5, 5]
    assert machine.support_vectors == 0


@pytest.mark.parametrize(("name", "value"), [("c", 0.0), ("gamma", -1.0), ("gamma", float("nan"))])
def test_what_must_be_positive(name, value):
    with pytest.raises(ValueError, match=rf"^{name}: {value} is not positive$"):
        svm.fit(*_examples(0, 10), **{"c": 1.0, "gamma": 1.0, name: value})
