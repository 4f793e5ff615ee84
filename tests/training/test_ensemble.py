"""An ensemble on one device or two: each member trains as it would alone."""

import logging
from functools import cache
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glorot_jax.data.stream import Batch, finite_stream
from glorot_jax.initializers import Initializer, gaussian, normalized
from glorot_jax.keys import named
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP, init
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training.ensemble import _padded_indices
from glorot_jax.training.update import make_update, one_by_one
from tests import numpy_net

INPUTS, CLASSES, BATCH_SIZE = 6, 3, 5
MODEL = MLP((5,), CLASSES)
EXAMPLES = Batch(*map(jnp.asarray, numpy_net.random_examples(0, 50, INPUTS, CLASSES)))
STREAM = finite_stream(EXAMPLES, block_size=20)
HELD_OUT, _ = numpy_net.random_examples(1, 4, INPUTS, CLASSES)
BLOCKS = 3  # the third block spans two epochs of 50 examples
UPDATE = make_update(MODEL, cross_entropy, optax.sgd)
KEY = jax.random.key(0)


class MemberSpec(NamedTuple):
    seed: int
    learning_rate: float
    initializer: Initializer


MEMBERS = (
    MemberSpec(0, 0.5, normalized()),
    MemberSpec(0, 0.1, gaussian(0.3)),
    MemberSpec(1, 0.5, normalized()),
)
PLACES = [(1, "cpu"), (2, "cpu"), (1, "gpu"), (2, "gpu")]
places = pytest.mark.parametrize(("devices", "platform"), PLACES, ids=lambda p: f"{p}")
# A batched product adds up in another order: one rounding, 6e-8, for each of the 12 updates,
# each handed on by updates whose Lipschitz constant is near 1.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def _logits(params, x):
    return MODEL.apply({"params": params}, x)


def _mesh(devices):
    return ensembles.member_mesh(jax.devices()[:devices])


def _member(spec):
    model = MODEL.clone(kernel_init=spec.initializer)
    params = init(model, named(KEY, "weights", spec.seed), INPUTS)
    return ensembles.fresh_member(params, spec.learning_rate, optax.sgd)


def _create(specs, devices=1):
    return ensembles.create(
        [_member(spec) for spec in specs],
        [spec.seed for spec in specs],
        stream=STREAM,
        key=KEY,
        mesh=_mesh(devices),
    )


def _make_advance(devices=1, platform="cpu", *, update=UPDATE, probe=_logits):
    """The program for ``devices``, with its members mapped as on ``platform``."""
    with pytest.MonkeyPatch.context() as patch:
        chosen = ensembles.map_members(platform)
        patch.setattr(ensembles, "map_members", lambda _: chosen)
        return ensembles.make_advance(
            train=one_by_one(update),
            probe=probe,
            stream=STREAM,
            batch_size=BATCH_SIZE,
            mesh=_mesh(devices),
        )


_advance = cache(_make_advance)


def _run(specs, blocks, devices=1, platform="cpu"):
    advance = _advance(devices, platform)
    return advance(_create(specs, devices), STREAM.arrays, HELD_OUT, blocks)


def _row(tree, index):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], tree)


@cache
def _first_blocks(seed):
    """The blocks that a stream of ``seed`` yields, from an ensemble that has no other."""
    (state,) = _unstack(_create([MemberSpec(seed, 0.1, normalized())]).streams)
    blocks = []
    step = jax.jit(STREAM.next)
    for _ in range(BLOCKS):
        state, block = step(STREAM.arrays, state)
        blocks.append(block)
    return blocks


def _unstack(tree):
    leaves, structure = jax.tree.flatten(tree)
    return [structure.unflatten(row) for row in zip(*leaves, strict=True)]


@cache
def _trained_alone(spec):
    """A member trained by a loop in Python, minibatch by minibatch."""
    (member,) = _unstack(_create([spec]).members)
    update = jax.jit(UPDATE)
    for block in _first_blocks(spec.seed):
        for start in range(0, STREAM.block_size, BATCH_SIZE):
            rows = slice(start, start + BATCH_SIZE)
            member = update(member, Batch(block.x[rows], block.y[rows]))
    return member


@given(seeds=st.lists(st.integers(0, 4), min_size=1, max_size=20), devices=st.integers(1, 8))
def test_every_member_finds_the_stream_of_its_own_seed_on_its_own_device(seeds, devices):
    indices = _padded_indices(seeds, devices)
    per_device = -(-len(seeds) // devices)
    assert len(indices.member) == len(indices.stream) == devices * per_device
    # The real members come first and in order; the rest repeats the last of them.
    assert indices.member[: len(seeds)].tolist() == list(range(len(seeds)))
    assert set(indices.member[len(seeds) :]) <= {len(seeds) - 1}
    streams = np.reshape(indices.stream_seed, (devices, -1))
    needed = []
    for device in range(devices):
        here = slice(device * per_device, (device + 1) * per_device)
        wanted = [seeds[member] for member in indices.member[here]]
        assert [streams[device, index] for index in indices.stream[here]] == wanted
        needed.append(len(set(wanted)))
    # No stream is drawn that no device needs.
    assert streams.shape[1] == max(needed)


def test_members_start_in_order_from_their_own_numbers():
    members = _create(MEMBERS, devices=2).members
    np.testing.assert_array_equal(members.learning_rate, np.float32([0.5, 0.1, 0.5, 0.5]))
    for index, spec in enumerate(MEMBERS):
        (alone,) = _unstack(_create([spec]).members)
        chex.assert_trees_all_close(_row(members.params, index), alone.params, rtol=1e-6)
    first, second, third, padding = (_row(members.params, index) for index in range(4))
    assert not np.allclose(first["output"]["kernel"], second["output"]["kernel"])
    assert not np.allclose(first["output"]["kernel"], third["output"]["kernel"])
    chex.assert_trees_all_equal(padding, third)


@places
def test_a_member_trains_as_it_would_alone(devices, platform):
    ensemble, logits = _run(MEMBERS, BLOCKS, devices, platform)
    # Three members on two devices: the fourth row is the last member again.
    assert len(logits) == (4 if devices == 2 else 3)
    for row in range(len(logits)):
        alone = _trained_alone(MEMBERS[min(row, 2)])
        chex.assert_trees_all_close(_row(ensemble.members.params, row), alone.params, **CLOSE)
        np.testing.assert_allclose(logits[row], _logits(alone.params, HELD_OUT), **CLOSE)
    moved = _row(ensemble.members.params, 0)["output"]["kernel"]
    (start,) = _unstack(_create(MEMBERS[:1]).members)
    assert np.abs(moved - start.params["output"]["kernel"]).max() > 0.01  # it did train


@places
def test_members_of_one_seed_see_the_same_examples(devices, platform):
    def remember(member, batch):
        """An update that keeps the last minibatch in place of the weights of 5 units."""
        kept = {"kernel": batch.x.T, "bias": batch.y.astype(jnp.float32)}
        return member._replace(params={**member.params, "hidden_01": kept})

    seeds = (0, 0, 1)
    specs = [MemberSpec(seed, 0.1, normalized()) for seed in seeds]
    advance = _make_advance(devices, platform, update=remember)
    ensemble, _ = advance(_create(specs, devices), STREAM.arrays, HELD_OUT, BLOCKS)
    for row, seed in enumerate(seeds):
        last = _first_blocks(seed)[-1]
        seen = _row(ensemble.members.params, row)["hidden_01"]
        np.testing.assert_array_equal(seen["kernel"].T, last.x[-BATCH_SIZE:])
        np.testing.assert_array_equal(seen["bias"], last.y[-BATCH_SIZE:])
    assert not np.array_equal(_first_blocks(0)[-1].x, _first_blocks(1)[-1].x)


@places
def test_a_member_that_diverges_harms_no_other(devices, platform):
    spoilt = (MEMBERS[0], MEMBERS[1]._replace(learning_rate=np.inf), MEMBERS[2])
    healthy, _ = _run(MEMBERS, BLOCKS, devices, platform)
    ensemble, _ = _run(spoilt, BLOCKS, devices, platform)
    assert not all(
        np.isfinite(leaf).all() for leaf in jax.tree.leaves(_row(ensemble.members.params, 1))
    )
    for row in (0, 2):
        chex.assert_trees_all_equal(
            _row(ensemble.members.params, row), _row(healthy.members.params, row)
        )


def test_the_ensemble_is_donated():
    before = _create(MEMBERS)
    after, _ = _advance()(before, STREAM.arrays, HELD_OUT, 1)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((after, STREAM.arrays)))


@pytest.mark.parametrize("devices", [1, 2])
def test_no_blocks_only_measure(devices):
    start = _create(MEMBERS, devices)
    kept = jax.tree.map(_copy, start)
    after, logits = _advance(devices)(start, STREAM.arrays, HELD_OUT, 0)
    chex.assert_trees_all_equal(jax.tree.map(_copy, after), kept)
    for row, params in enumerate(_unstack(kept.members.params)):
        expected = MODEL.apply({"params": params}, HELD_OUT)
        np.testing.assert_allclose(logits[row], expected, **CLOSE)


def _copy(leaf):
    """A copy in host memory, of random keys too."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.array(leaf)


@pytest.mark.parametrize("of_shapes", [False, True])
def test_one_program_for_every_chunk_and_rate(of_shapes, caplog):
    """``compile`` makes it, and no call after that."""
    chex.clear_trace_counter()
    probe = chex.assert_max_traces(lambda params, x: _logits(params, x), n=1)
    update = chex.assert_max_traces(lambda member, batch: UPDATE(member, batch), n=1)
    advance = _make_advance(devices=2, probe=probe, update=update)
    first = _create(MEMBERS, devices=2)
    everywhere = [ensembles.on_every_device(t, _mesh(2)) for t in (STREAM.arrays, HELD_OUT)]
    if of_shapes:
        like = (STREAM.arrays, HELD_OUT)
        advance.compile(
            ensembles.shapes(
                jax.eval_shape(lambda: _member(MEMBERS[0])),
                [spec.seed for spec in MEMBERS],
                stream=STREAM,
                mesh=_mesh(2),
            ),
            *(ensembles.shapes_on_every_device(tree, _mesh(2)) for tree in like),
        )
    else:
        advance.compile(first, *everywhere)
    others = _create([spec._replace(learning_rate=0.7) for spec in MEMBERS], devices=2)
    caplog.set_level(logging.WARNING, logger="jax")
    with jax.log_compiles():
        for ensemble in (first, others):
            for blocks in (0, 1, 2):
                ensemble, _ = advance(ensemble, *everywhere, blocks)
    assert not [line for line in caplog.messages if "compilation of" in line]


def test_what_does_not_differ_is_compiled_once():
    """Two optimisers: their examples are drawn, and their networks measured, by one program."""
    one, other = (
        _make_advance(update=make_update(MODEL, cross_entropy, make))
        for make in (optax.sgd, optax.adam)
    )
    assert one.draw is other.draw
    assert one.measure is other.measure
    assert one.train is not other.train
    assert one.draw is not _make_advance(devices=2).draw


def test_two_chunks_are_one():
    whole, _ = _run(MEMBERS, BLOCKS)
    half, nothing = _advance()(_create(MEMBERS), STREAM.arrays, HELD_OUT, 1, False)
    assert nothing is None, "measured where it wasn't asked to"
    both, _ = _advance()(half, STREAM.arrays, HELD_OUT, BLOCKS - 1)
    chex.assert_trees_all_equal(jax.tree.map(_copy, both), jax.tree.map(_copy, whole))


@pytest.mark.parametrize("specs", [MEMBERS, MEMBERS[:1], (*MEMBERS, MEMBERS[0])])
def test_an_ensemble_without_padding_goes_on_on_any_number_of_devices(specs):
    seeds = [spec.seed for spec in specs]
    ended = []
    for before, after in ((1, 1), (1, 2), (2, 1), (2, 2)):
        started, _ = _run(specs, 1, before)
        stored = ensembles.without_padding(started, seeds, mesh=_mesh(before))
        assert len(stored.members.learning_rate) == len(specs)
        assert len(stored.streams.position) == len(set(seeds))
        placed = ensembles.place(stored, seeds, mesh=_mesh(after))
        end, _ = _advance(after)(placed, STREAM.arrays, HELD_OUT, BLOCKS - 1)
        ended.append(ensembles.without_padding(end, seeds, mesh=_mesh(after)))
    for end in ended[1:]:
        chex.assert_trees_all_equal(jax.tree.map(_copy, end), jax.tree.map(_copy, ended[0]))


@pytest.mark.parametrize("batch_size", [3, 40])
def test_a_batch_that_does_not_divide_the_block_is_refused(batch_size):
    with pytest.raises(ValueError, match=rf"^batch_size: {batch_size} does not divide .* 20 "):
        ensembles.make_advance(
            train=one_by_one(UPDATE),
            probe=_logits,
            stream=STREAM,
            batch_size=batch_size,
            mesh=_mesh(1),
        )


def test_members_are_mapped_by_platform():
    def names(platform):
        over = ensembles.map_members(platform)
        jaxpr = jax.make_jaxpr(over(jnp.sin))(np.ones(3, np.float32))
        return [equation.primitive.name for equation in jaxpr.eqns]

    assert names("cpu") == ["scan"]
    assert names("gpu") == names("tpu") == ["sin"]


@pytest.mark.parametrize("devices", [1, 2])
def test_lowers_for_accelerators(devices):
    advance, ensemble = _make_advance(devices, "gpu"), _create(MEMBERS, devices)
    _, blocks = jax.eval_shape(advance.draw, STREAM.arrays, ensemble.streams)
    for program, *arguments in (
        (advance.draw, STREAM.arrays, ensemble.streams),
        (advance.train, ensemble.members, blocks),
        (advance.measure, ensemble.members.params, HELD_OUT),
    ):
        exported = jax.export.export(program, platforms=["tpu", "cuda"])(*arguments)
        assert exported.nr_devices == devices
