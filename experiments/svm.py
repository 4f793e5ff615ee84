"""The RBF support vector machine of section 5, for as many examples as a sample there has.

A machine of several classes is one binary machine a pair of classes and a vote, as in libsvm. The
binary machines are scikit-learn's, fitted one pair at a time on that pair's own kernel matrix: the
same machine as ``sklearn.svm.SVC(kernel="rbf")``, whose own kernel costs over ten times as much.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

ROWS_AT_ONCE = 1000  # of the kernel matrix between new and fitted examples


@dataclass(frozen=True)
class Machine:
    """A fitted machine of k classes, k (k - 1) / 2 pairs.

    Attributes:
      x: [n, inputs] the examples it was fitted on.
      classes: [k] their classes in increasing order.
      pairs: [pairs, 2] indices of ``classes``; a positive decision is for the second.
      coefficients: [n, pairs] of each example in each pair's decision, 0 off its support vectors.
      intercepts: [pairs].
      gamma: of the kernel exp(-gamma |x - x'|^2).
    """

    x: np.ndarray
    classes: np.ndarray
    pairs: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray
    gamma: float

    @property
    def support_vectors(self) -> int:
        """How many examples at least one decision rests on."""
        return int(np.count_nonzero(self.coefficients.any(axis=1)))


def fit(x: np.ndarray, y: np.ndarray, /, *, c: float, gamma: float) -> Machine:
    """The machine for x [n, inputs] and classes y [n].

    Memory is that of the kernel matrix of the largest pair: 9 GB for 100 000 Shapeset examples.

    Raises:
      ValueError: ``c`` or ``gamma`` is not positive.
    """
    from sklearn.svm import SVC  # imported when needed: it takes two seconds

    for name, value in (("c", c), ("gamma", gamma)):
        if not value > 0:
            raise ValueError(f"{name}: {value} is not positive")
    x, classes = np.asarray(x, np.float64), np.unique(y)
    pairs = np.array(list(combinations(range(len(classes)), 2)), int).reshape(-1, 2)
    coefficients, intercepts = np.zeros((len(x), len(pairs))), np.zeros(len(pairs))
    for index, pair in enumerate(pairs):
        rows = np.flatnonzero(np.isin(y, classes[pair]))
        of_pair = x[rows]
        kernel = _kernel(of_pair, of_pair, gamma)
        machine = SVC(C=c, kernel="precomputed").fit(kernel, y[rows])
        coefficients[rows[machine.support_], index] = machine.dual_coef_[0]
        intercepts[index] = machine.intercept_[0]
    return Machine(x, classes, pairs, coefficients, intercepts, gamma)


def predict(machine: Machine, x: np.ndarray, /) -> np.ndarray:
    """The class of each of x [m, inputs] that wins most pairs, [m]; a tie goes to the lowest."""
    votes = [
        _votes(machine, x[start : start + ROWS_AT_ONCE]) for start in range(0, len(x), ROWS_AT_ONCE)
    ]
    return machine.classes[np.concatenate(votes).argmax(axis=1)]


def error(machine: Machine, x: np.ndarray, y: np.ndarray, /) -> float:
    """The fraction of x [m, inputs] that ``machine`` puts in another class than y [m]."""
    return float(np.mean(predict(machine, x) != y))


def _votes(machine: Machine, x: np.ndarray) -> np.ndarray:
    """Pairs won by each class, [m, k]."""
    kernel = _kernel(np.asarray(x, np.float64), machine.x, machine.gamma)
    decisions = kernel @ machine.coefficients + machine.intercepts
    winners = np.where(decisions > 0, machine.pairs[:, 1], machine.pairs[:, 0])
    return np.stack([(winners == index).sum(axis=1) for index in range(len(machine.classes))], 1)


def _kernel(x: np.ndarray, others: np.ndarray, gamma: float) -> np.ndarray:
    from sklearn.metrics.pairwise import rbf_kernel

    return rbf_kernel(x, others, gamma=gamma)
