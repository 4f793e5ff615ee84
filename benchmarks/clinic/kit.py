"""The format of a clinic's case, and the register that the files of ``cases/`` fill.

A case is a model whose state of health is known beforehand. A *sick* one has a cause, the words of
which one must be in the first finding, and a healthy twin: the same model without the cause. A
*healthy* one must stay without a finding. How it is trained is part of a case, so that
``benchmarks.clinic.evidence`` can show the truth.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

HEALTHY = "healthy"
SOURCES = ("issue thread", "question and answer", "paper", "textbook", "documentation")
CASES: dict[str, "Case"] = {}


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """``[n, classes], [n] -> [n]``, or with more axes the mean over all but the first."""
    costs = optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels)
    return costs.reshape(len(costs), -1).mean(-1)


def squared_error(output: jax.Array, target: jax.Array) -> jax.Array:
    """``[n, ...], [n, ...] -> [n]``: the sum over an example's elements."""
    return jnp.square(output - target).reshape(len(output), -1).sum(-1)


def binary_entropy(logit: jax.Array, label: jax.Array) -> jax.Array:
    """``[n, 1], [n] -> [n]``."""
    return optax.sigmoid_binary_cross_entropy(logit[:, 0], label.astype(jnp.float32))


@dataclasses.dataclass(frozen=True)
class Model:
    """What ``diagnose`` gets. With ``seeds`` each leaf of params has a leading axis of nets."""

    apply_fn: Callable[[Any, Any], Any]
    params: Any
    x: Any
    y: Any
    loss: Callable[[Any, Any], jax.Array] = cross_entropy
    seeds: int | None = None


@dataclasses.dataclass(frozen=True)
class Training:
    """How the evidence trains a case.

    ``measure(output, y)``, lower is better, stands in for the loss where a case's loss and its
    twin's have different scales. A healthy case must bring it below ``goal`` (None: 0.7 of what it
    is at the start).
    """

    optimizer: str = "adam"
    rate: float = 1e-3
    steps: int = 300
    measure: Callable[[Any, Any], jax.Array] | None = None
    goal: float | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """A model and what is known of it.

    Attributes:
      truth: the sickness in two or three words, or "healthy".
      words: one of them must be in kind or text of the first finding. Empty if healthy.
      site: a part of the name of the parameter at fault, or "" where no one parameter is.
      twin: the same model without the cause (sick cases).
      source: the kind of place where such a case is met, one of ``SOURCES``. It cites no one
        report; docs/clinic.md says for which cases reports were looked up.
      room: the file of ``cases/`` that defines it.
    """

    name: str
    build: Callable[[], Model]
    truth: str
    words: tuple[str, ...]
    site: str
    twin: Callable[[], Model] | None
    training: Training
    source: str
    about: str
    room: str

    @property
    def healthy(self) -> bool:
        return self.truth == HEALTHY


Builder = Callable[[], Model]


def _register(case: Case) -> None:
    if case.name in CASES:
        raise ValueError(f"case {case.name!r}: another one has this name already")
    if case.source not in SOURCES:
        raise ValueError(f"case {case.name!r}: source {case.source!r} is none of {SOURCES}")
    if not case.about:
        raise ValueError(f"case {case.name!r}: the docstring, which is its truth, is missing")
    CASES[case.name] = case


def _case(build: Builder, **known: Any) -> Case:
    about = " ".join((build.__doc__ or "").split())
    room = build.__module__.rsplit(".", 1)[-1]
    return Case(build.__name__, build, about=about, room=room, **known)


def sick(
    truth: str,
    words: tuple[str, ...],
    twin: Builder,
    *,
    source: str,
    site: str = "",
    training: Training = Training(),
) -> Callable[[Builder], Builder]:
    """Register a builder as a sick case; its docstring is the cause and its remedy."""

    def register(build: Builder) -> Builder:
        _register(
            _case(
                build,
                truth=truth,
                words=words,
                site=site,
                twin=twin,
                training=training,
                source=source,
            )
        )
        return build

    return register


def healthy(*, source: str, training: Training = Training()) -> Callable[[Builder], Builder]:
    """Register a builder as a healthy case; its docstring says what is deliberate in it."""

    def register(build: Builder) -> Builder:
        _register(
            _case(
                build,
                truth=HEALTHY,
                words=(),
                site="",
                twin=None,
                training=training,
                source=source,
            )
        )
        return build

    return register
