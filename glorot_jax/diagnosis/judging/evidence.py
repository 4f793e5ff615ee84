"""What is known of one net when it is judged: facts, no opinions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glorot_jax.diagnosis.measuring.costs import Answers
from glorot_jax.diagnosis.measuring.nonfinite import Beginning
from glorot_jax.diagnosis.tracing.graph import Route


@dataclass(frozen=True)
class Leaf:
    """One array of the parameters.

    ``norm``, ``gradient``: norms of it and of dC/dw, C the mean cost. ``opened``: the norm of the
    gradient after two small updates of all parameters. ``alike``: whether all units have the same
    weights and the same gradient. ``labels``: of the rows whose kernel it is. ``step``: norm of the
    optimiser's first update over its norm; ``unmoved``: share of the entries with an update that
    are the same after it; both NaN without an optimiser. ``scale_free``: whether the cost stays the
    same when the whole array is multiplied by a number, to first order. ``unseen``: the share of
    its gradient that comes by other ways than the sites.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    norm: float
    gradient: float
    opened: float
    alike: bool
    route: Route
    labels: tuple[str, ...] = ()
    step: float = float("nan")
    unmoved: float = float("nan")
    scale_free: bool = False
    unseen: float = 0.0

    @property
    def closed(self) -> bool:
        """Whether no gradient comes, at first and after the first updates."""
        return self.gradient == 0 and self.opened == 0

    @property
    def opens(self) -> bool:
        """Whether a gradient comes as soon as other parameters have moved."""
        return self.gradient == 0 and self.opened != 0


@dataclass(frozen=True)
class Chain:
    """Stations that every signal passes one after the other, in the order of the program.

    ``size``: rms of the values there. ``sensitivity``: mean over the examples of norm(v) times
    norm(dC/dv), what the cost changes by when v changes by its own size. ``labels``: names of the
    sites before each. ``of_time``: whether the stations are steps of one recurrence.
    """

    labels: tuple[str, ...]
    size: np.ndarray
    sensitivity: np.ndarray
    of_time: bool = False


@dataclass(frozen=True)
class Output:
    """One array of the outputs: the last function that made it, and its values."""

    name: str
    function: str
    mean: float
    std: float
    least: float
    largest: float
    zeros: float = 0.0  # share of the values that are 0
    sums_to_one: bool = False


@dataclass(frozen=True)
class Input:
    """One float array of x: by column where it is a table [n, columns], else as a whole."""

    name: str
    shape: tuple[int, ...]
    mean: np.ndarray
    std: np.ndarray

    @property
    def rms(self) -> float:
        """Over all values."""
        return float(np.sqrt(np.mean(np.square(self.mean) + np.square(self.std))))


@dataclass(frozen=True)
class Softmax:
    """One softmax inside the model.

    ``entropy``: mean over its rows, relative to ln of the entries that aren't masked; NaN where
    every row has one entry only. ``spread``: mean of the largest logit less the mean one.
    ``load``: mean weight of the entry that has the most. ``size``: entries of a row. ``role``:
    attention, gate or output. ``labels``: rows that feed it.
    """

    labels: tuple[str, ...]
    role: str
    size: int
    entropy: float
    spread: float
    load: float = 0.0


@dataclass(frozen=True)
class Evidence:
    """One net: ``rows`` are statistics [rows] by name, labelled and in the order of the program.

    ``names``: of the sites, the same for all steps of one. ``heads``: rows that feed the output and
    no other row. ``first``: rows that x feeds with no other row between. ``two_sided``: rows whose
    activation levels off on both sides. ``of_time``: rows that are steps of a recurrence.
    ``cost``: the mean over the examples; ``examples``: their number. ``targets``: mean and standard
    deviation of y, where the loss is a distance to it. ``shapes``: of outputs and y, where these
    are [.., 1] and [..]. ``beginning``: where the cost or its gradient stops being finite;
    ``overflow``: where a float16 overflows though both are finite.
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    fan_in: np.ndarray
    heads: np.ndarray
    first: np.ndarray
    two_sided: np.ndarray
    has_activation: np.ndarray
    of_time: np.ndarray
    rows: Mapping[str, np.ndarray]
    leaves: tuple[Leaf, ...]
    chains: tuple[Chain, ...]
    outputs: tuple[Output, ...]
    inputs: tuple[Input, ...]
    softmaxes: tuple[Softmax, ...]
    cost: float
    answers: Answers
    examples: int
    beginning: Beginning | None = None
    overflow: Beginning | None = None
    targets: tuple[float, float] | None = None
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def order(self, labels: Sequence[str]) -> int:
        """Where in the program the first of ``labels`` stands; at the end if none is a row."""
        places = [self.labels.index(label) for label in labels if label in self.labels]
        return min(places, default=len(self.labels))
