"""The loop stops and goes on without a bit changed; what it measures is what is there."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glorot_jax.data.stream import Batch, Task, finite_stream
from glorot_jax.keys import named
from glorot_jax.losses import LOSSES, cross_entropy
from glorot_jax.network import MLP, init
from glorot_jax.probes import activation_statistics, gradient_statistics, output_statistics
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training import loop
from glorot_jax.training.optimizers import make_train
from tests import numpy_net

SIZES = (6, 5, 4, 3)
MODEL = MLP(SIZES[1:-1], SIZES[-1])
BINS = 8


def _examples(seed, n):
    return Batch(*numpy_net.random_examples(seed, n, SIZES[0], SIZES[-1]))


TASK = Task(
    name="made_up",
    class_names=("a", "b", "c"),
    train=finite_stream(_examples(0, 50), block_size=20),
    validation=_examples(1, 30),
    test=_examples(2, 20),
    image_shape=(2, 3, 1),
    origin="made up",
)
SETS = loop.held_out(TASK, probe_examples=10)


@pytest.mark.parametrize("probe_examples", [1, 7, 20])
def test_held_out_sets(probe_examples):
    sets = loop.held_out(TASK, probe_examples=probe_examples)
    assert sets.validation is TASK.validation
    assert sets.test is TASK.test
    np.testing.assert_array_equal(sets.probe.x, TASK.test.x[:probe_examples])
    np.testing.assert_array_equal(sets.probe.y, TASK.test.y[:probe_examples])


@pytest.mark.parametrize("probe_examples", [-1, 0, 21])
def test_there_are_no_more_examples_than_there_are(probe_examples):
    with pytest.raises(ValueError, match=rf"^probe_examples: {probe_examples} is not in 1\.\.20$"):
        loop.held_out(TASK, probe_examples=probe_examples)


def test_a_measurement_is_what_numpy_and_the_probes_say():
    loss = "quadratic"  # the probes' own default is the other one
    params = numpy_net.random_params(3, SIZES)
    found = jax.jit(loop.make_probe(MODEL, LOSSES[loss], bins=BINS))(params, SETS)
    logits = {
        name: numpy_net.forward(params, batch.x, "tanh")[0][-1]
        for name, batch in (("validation", SETS.validation), ("test", SETS.test))
    }
    for name in logits:
        error = (logits[name].argmax(axis=1) != getattr(SETS, name).y).mean()
        assert 0 < error < 1
        np.testing.assert_allclose(found[f"{name}_error"], error, rtol=1e-6)
    cost = numpy_net.costs(logits["test"], SETS.test.y, loss).mean()
    np.testing.assert_allclose(found["test_cost"], cost, rtol=1e-5)
    assert found["finite"].dtype == bool
    assert found["finite"]

    @jax.jit
    def statistics(params, batch):
        activation = activation_statistics(MODEL, params, batch, bins=BINS)
        return {
            "activation": activation,
            **gradient_statistics(MODEL, params, batch, loss=LOSSES[loss], bins=BINS),
            "output": output_statistics(MODEL, params, batch),
        }

    groups = statistics(params, SETS.probe)
    expected = {
        f"{group}_{name}": value
        for group, values in groups.items()
        for name, value in values.items()
        if group in ("activation", "output") or name not in ("histogram", "unit")
    }
    plain = {"validation_error", "test_error", "test_cost", "finite"}
    assert found.keys() == expected.keys() | plain
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize(
    ("name", "spoil"), [("hidden_01", np.nan), ("output", np.nan), ("output", np.inf)]
)
def test_a_network_that_left_the_finite_numbers_is_wrong_everywhere(name, spoil):
    params = numpy_net.random_params(3, SIZES)
    params[name]["kernel"][:] = spoil
    found = _measure(params, SETS)
    assert not found["finite"]
    assert found["test_error"] == found["validation_error"] == 1


_measure = jax.jit(loop.make_probe(MODEL, cross_entropy, bins=BINS))
BLOCKS = np.array([0, 2, 1, 2])


@pytest.fixture(scope="module")
def advance():
    return ensembles.make_advance(
        train=make_train("sgd", MODEL, cross_entropy),
        probe=loop.make_probe(MODEL, cross_entropy, bins=BINS),
        stream=TASK.train,
        batch_size=5,
        mesh=ensembles.member_mesh(),
    )


def _create():
    key, seeds = jax.random.key(0), range(3)
    start = [init(MODEL, named(key, "weights", seed), SIZES[0]) for seed in seeds]
    return ensembles.create(
        [ensembles.fresh_member(params, 0.3, optax.sgd) for params in start],
        seeds,
        stream=TASK.train,
        key=key,
        mesh=ensembles.member_mesh(),
    )


def _kept(tree):
    """A copy that survives the donation of the original."""
    return jax.device_put(jax.tree.map(jnp.copy, tree), jax.tree.map(lambda a: a.sharding, tree))


def _bits(tree):
    def numbers(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if is_key else leaf)

    return jax.tree.map(numbers, tree)


def test_going_on_is_the_same_as_never_having_stopped(advance):
    everything = {"arrays": TASK.train.arrays, "sets": SETS, "blocks": BLOCKS}
    ensembles_at, measured_at = {}, {}
    for done, ensemble, measured in loop.run(advance, _create(), **everything):
        ensembles_at[done.points], measured_at[done.points] = _kept(ensemble), _bits(measured)
    assert list(ensembles_at) == [1, 2, 3, 4]
    assert len({float(measured["test_cost"][0]) for measured in measured_at.values()}) == 4
    for done in (1, 3):
        resumed = loop.run(advance, _kept(ensembles_at[done]), done=loop.Done(done), **everything)
        points = []
        for now, ensemble, measured in resumed:
            points.append(now.points)
            chex.assert_trees_all_equal(_bits(measured), measured_at[now.points])
            chex.assert_trees_all_equal(_bits(ensemble), _bits(ensembles_at[now.points]))
        assert points == list(range(done + 1, 5))
    assert list(loop.run(advance, ensembles_at[4], done=loop.Done(4), **everything)) == []
    _assert_the_same_in_chunks(advance, everything, ensembles_at, measured_at)


def _assert_the_same_in_chunks(advance, everything, ensembles_at, measured_at):
    """Yielded block by block, and gone on with between two points."""
    on_the_way, between = [], None
    for done, ensemble, measured in loop.run(advance, _create(), most=lambda: 1, **everything):
        on_the_way.append((*done, measured is not None))
        if measured is None:
            between = between or (done, _kept(ensemble))
        else:
            chex.assert_trees_all_equal(_bits(measured), measured_at[done.points])
            chex.assert_trees_all_equal(_bits(ensemble), _bits(ensembles_at[done.points]))
    assert on_the_way == [
        *((1, 0, True), (1, 1, False), (2, 0, True)),
        *((3, 0, True), (3, 1, False), (4, 0, True)),
    ]
    stopped, ensemble = between
    *_, (done, ensemble, _) = loop.run(advance, ensemble, done=stopped, **everything)
    assert done == loop.Done(4)
    chex.assert_trees_all_equal(_bits(ensemble), _bits(ensembles_at[4]))


def test_blocks_are_trained_between_points():
    seen = []

    def spy(ensemble, arrays, sets, blocks, measure):
        assert measure
        seen.append((int(blocks), arrays is TASK.train.arrays, sets is SETS))
        return ensemble, {}

    for _ in loop.run(
        spy, None, arrays=TASK.train.arrays, sets=SETS, blocks=BLOCKS, done=loop.Done(1)
    ):
        pass
    assert seen == [(2, True, True), (1, True, True), (2, True, True)]
