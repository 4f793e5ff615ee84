"""The loop over evaluation points: a generator that trains and measures, and does nothing else."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.data.stream import Batch, Task
from glorot_jax.network import MLP, Params, logits
from glorot_jax.probes import activation_statistics, gradient_statistics, output_statistics
from glorot_jax.training.ensemble import Advance, Ensemble
from glorot_jax.typing import Loss, PyTree


class HeldOut(NamedTuple):
    """What members are measured on: error sets, and section 2.3's fixed monitoring examples."""

    validation: Batch
    test: Batch
    probe: Batch


def held_out(task: Task, *, probe_examples: int) -> HeldOut:
    """The task's validation and test sets, and the first ``probe_examples`` test examples.

    Raises:
      ValueError: the test set has fewer examples.
    """
    available = task.test.y.shape[0]
    if not 1 <= probe_examples <= available:
        raise ValueError(f"probe_examples: {probe_examples} is not in 1..{available}")
    probe = Batch(task.test.x[:probe_examples], task.test.y[:probe_examples])
    return HeldOut(task.validation, task.test, probe)


@cache  # so that networks which differ in their optimiser share one compiled program
def make_probe(model: MLP, loss: Loss, *, bins: int) -> Callable[[Params, HeldOut], Mapping]:
    """The pure function that measures the parameters of one member at an evaluation point.

    Returns ``validation_error``, ``test_error`` (fractions), ``test_cost``, ``finite`` (all
    parameters and the test cost are), ``output_*`` and, per hidden layer, ``activation_*``,
    ``backprop_*``, ``weight_gradient_*``.
    """

    def probe(params: Params, sets: HeldOut) -> dict[str, jax.Array]:
        test_logits = logits(model, params, sets.test.x)
        validation_logits = logits(model, params, sets.validation.x)
        groups = {
            "activation": activation_statistics(model, params, sets.probe, bins=bins),
            **gradient_statistics(model, params, sets.probe, loss=loss, bins=bins),
            "output": output_statistics(model, params, sets.probe),
        }
        test_cost = jnp.mean(loss(test_logits, sets.test.y))
        leaves = [*jax.tree.leaves(params), test_cost]
        return {
            "validation_error": error_rate(validation_logits, sets.validation.y),
            "test_error": error_rate(test_logits, sets.test.y),
            "test_cost": test_cost,
            "finite": jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves])),
            **{
                f"{group}_{name}": value
                for group, statistics in groups.items()
                for name, value in statistics.items()
                if group == "activation" or name not in ("histogram", "unit")
            },
        }

    return probe


class Done(NamedTuple):
    """How far training is: points measured, and blocks trained since the last of them."""

    points: int = 0
    blocks: int = 0


def run(
    advance: Advance,
    ensemble: Ensemble,
    *,
    arrays: PyTree,
    sets: HeldOut,
    blocks: Sequence[int] | np.ndarray,
    done: Done = Done(),  # noqa: B008  (a constant)
    most: Callable[[], int] | None = None,
) -> Iterator[tuple[Done, Ensemble, Mapping[str, jax.Array] | None]]:
    """Trains to each evaluation point in turn; yields (done, ensemble, measurement) on the way.

    ``blocks[i]`` is how many blocks lie between evaluation point i - 1 and i; what ``done`` says is
    taken as done, so a restored ensemble goes on where it stopped. Each yielded ensemble is
    consumed by the next step. ``most()`` is how many blocks may pass until the next yield, all up
    to the next point unless given; between points the measurement is None. Where an ensemble was
    yielded or restored changes no bit of it later on.
    """
    while done.points < len(blocks):
        left = int(blocks[done.points]) - done.blocks
        now = left if most is None else min(left, most())
        at_point = now == left
        ensemble, measurement = advance(ensemble, arrays, sets, now, at_point)
        done = Done(done.points + 1) if at_point else done._replace(blocks=done.blocks + now)
        yield done, ensemble, measurement


def wrong(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Which labels [n] aren't those of the highest scores [n, classes], [n]."""
    # A network that has left the finite numbers is wrong everywhere, whatever argmax makes of NaN.
    return (jnp.argmax(scores, axis=-1) != labels) | ~jnp.isfinite(scores).all(axis=-1)


def error_rate(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Fraction of examples that are ``wrong``."""
    return jnp.mean(wrong(scores, labels).astype(jnp.float32))
