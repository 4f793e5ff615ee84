"""A watch inside one's own jitted update: what it costs, carries, says and refuses."""

import struct
from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import glorot_jax as gj
from glorot_jax.diagnosis.reporting import writers
from glorot_jax.losses import cross_entropy
from tests.diagnosis.models import labels, traced

UPDATES, EVERY = 7, 3
# Its steps depend on what was before, and strict numerics allow it, unlike optax.adam.
MOMENTUM = optax.sgd(1e-2, momentum=0.9)


def _step(watch, optimizer, model, *, loss=cross_entropy):
    def step(carry, _):
        params, opt_state, state = carry

        def mean_cost(params):
            return jnp.mean(cross_entropy(model.apply(params, model.x), labels()))

        cost, grads = jax.value_and_grad(mean_cost)(params)
        batch = model.x, labels()
        state, seen = watch(state, params, grads, batch, opt_state=opt_state, cost=cost)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        moved = optax.apply_updates(params, updates)
        return (moved, opt_state, state), (params, updates, seen, cost)

    return step


def _start(watch, params, optimizer=MOMENTUM):
    return params, optimizer.init(params), watch.init(params)


@cache
def _trained():
    model, _ = traced("scanned_remat")
    watch = gj.watch(model.apply, MOMENTUM, every=EVERY)
    step = _step(watch, MOMENTUM, model)
    carry = _start(watch, model.params)
    return jax.jit(lambda carry: jax.lax.scan(step, carry, length=UPDATES))(carry)


def _history():
    return writers.records(range(UPDATES), _trained()[1][2])


def test_it_measures_when_it_is_due_and_is_nan_between():
    _, (_, _, seen, _) = _trained()
    watch = gj.watch(lambda params, x: x, every=EVERY)
    due = [watch.due(update) for update in range(UPDATES)]
    assert due == [True, False, False, True, False, False, True]
    for name in ("s_std", "step", "ds_norm"):
        assert np.isfinite(seen.values[name]).all(axis=1).tolist() == due
    assert np.isfinite(seen.overall["loss"]).tolist() == due
    assert _trained()[0][2].updates == UPDATES


def test_sites_are_those_of_the_monitor_and_steps_those_of_the_optimizer():
    model, found = traced("scanned_remat")
    _, (params, updates, _, costs) = _trained()
    look = jax.jit(lambda p: gj.monitor(model.apply, p, model.x, labels()))
    for update, seen in _history():
        before, moved = (
            jax.tree.map(lambda a, update=update: a[update], tree) for tree in (params, updates)
        )
        alone = look(before)
        assert seen.sites == alone.sites
        same = {name: seen.values[name] for name in alone.values}
        chex.assert_trees_all_close(same, dict(alone.values), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(seen.overall["loss"], costs[update], rtol=1e-5)
        # The optimizer's real step, with its state of before: of layer 2 of the stack alone.
        place = [row.label for row in found.rows()].index("middle/w[2]")
        expected = np.linalg.norm(moved["middle"]["w"][2]) / np.linalg.norm(
            before["middle"]["w"][2]
        )
        np.testing.assert_allclose(seen.values["step"][place], expected, rtol=1e-4)


def test_costs_between_measurements_are_kept():
    _, (_, _, seen, costs) = _trained()
    costs = np.asarray(costs)
    for update, first in ((0, 0), (3, 1), (6, 4)):
        mine = costs[first : update + 1]
        np.testing.assert_allclose(seen.overall["loss_mean"][update], mine.mean(), rtol=1e-5)
        np.testing.assert_allclose(seen.overall["loss_max"][update], mine.max(), rtol=1e-6)
        ago = float(seen.overall["loss_max_ago"][update])
        assert ago == len(mine) - 1 - np.argmax(mine)
        assert np.isnan(seen.overall["loss_jump_ago"][update])


def test_the_first_cost_that_jumps_is_the_one_that_is_named():
    watch = gj.watch(lambda params, x: x @ params, every=5)
    params, batch = jnp.ones((3, 2)), (jnp.ones((4, 3)), jnp.zeros(4, int))
    costs = jnp.array([1.0] * 6 + [4.0, 9.0, jnp.inf, 1.0, 1.0, 1.0])

    def step(state, cost):
        return watch(state, params, params, batch, cost=cost)

    _, seen = jax.jit(lambda state: jax.lax.scan(step, state, costs))(watch.init(params))
    assert seen.overall["loss_jump_ago"][10] == 4
    assert seen.overall["loss_max_ago"][10] == 2
    assert seen.overall["loss_max"][10] == np.inf
    assert np.isnan(seen.overall["loss_jump_ago"][5])


def test_nothing_is_done_between_measurements():
    model, _ = traced("plain_mlp")
    calls = []

    def counted(logits, y):
        jax.debug.callback(lambda: calls.append(1))
        return cross_entropy(logits, y)

    watch = gj.watch(model.apply, optax.sgd(0.1), loss=counted, every=3)

    @jax.jit
    def step(state):
        return watch(state, model.params, model.params, (model.x, labels()))

    state = watch.init(model.params)
    chex.clear_trace_counter()
    for expected in (1, 1, 1, 2, 2):
        state, seen = step(state)
        jax.block_until_ready(seen)
        jax.effects_barrier()
        assert len(calls) == expected


def test_decided_outside_it_is_the_same_and_leaves_nothing_in_the_other_program():
    model, _ = traced("plain_mlp")
    watch = gj.watch(model.apply, MOMENTUM, every=EVERY)
    params, opt_state, state = _start(watch, model.params)
    state = state._replace(number=jnp.float32(2), total=jnp.float32(3))
    batch = model.x, labels()
    grads = jax.tree.map(jnp.ones_like, params)

    def seen(params, state, due):
        return watch(state, params, grads, batch, opt_state=opt_state, cost=state.total, due=due)

    inside, outside = seen(params, state, None), seen(params, state, True)
    chex.assert_trees_all_close(inside, outside)
    later = state._replace(updates=jnp.int32(1))
    after, nothing = seen(params, later, False)
    chex.assert_trees_all_equal(after, seen(params, later, None)[0])
    assert gj.watch(model.apply).scalars(nothing) == {}
    chex.assert_trees_all_equal(
        dict(writers.to_dataset([(0, outside[1]), (1, nothing)])),
        dict(writers.to_dataset([(0, outside[1])])),
    )
    between = jax.make_jaxpr(lambda *given: seen(*given, False))(params, later)
    assert "dot_general" not in str(between)
    assert "dot_general" in str(jax.make_jaxpr(lambda *given: seen(*given, True))(params, later))


def test_a_run_that_goes_on_from_a_checkpoint_measures_the_same():
    model, _ = traced("plain_mlp")
    watch = gj.watch(model.apply, MOMENTUM, every=EVERY)
    step = jax.jit(_step(watch, MOMENTUM, model))
    carry = _start(watch, model.params)
    histories = []
    for _ in range(4):
        carry, (_, _, seen, _) = step(carry, None)
        histories.append(seen)
    saved = jax.tree.map(np.asarray, _start(watch, model.params))
    for update in range(4):
        saved = jax.tree.map(np.asarray, saved)  # to disk and back
        saved, (_, _, seen, _) = step(saved, None)
        chex.assert_trees_all_equal(seen, histories[update])


def test_seeds_share_one_count_under_vmap():
    model, _ = traced("plain_mlp")
    watch = gj.watch(model.apply, optax.sgd(0.1), every=2)
    seeds = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), model.params)

    def one(state, params):
        return watch(state, params, params, (model.x, labels()))

    both = jax.jit(jax.vmap(one, in_axes=(None, 0), out_axes=(None, 0)))
    state, seen = both(watch.init(model.params), seeds)
    assert state.updates == 1
    assert seen.values["step"].shape == (2, 3)
    np.testing.assert_allclose(seen.values["step"], 0.1, rtol=1e-5)
    with pytest.raises(ValueError, match=r"^history: is of 2 nets; give that of one"):
        watch.findings([(0, seen)])
    assert watch.findings([(0, jax.tree.map(lambda a: a[0], seen))]) == ()
    _, nothing = both(state, seeds)
    assert watch.scalars(nothing) == {}
    with pytest.raises(ValueError, match=r"^history: holds no measurements$"):
        watch.findings([(1, nothing)])


def test_the_records_survive_json_and_netcdf(tmp_path):
    writer = writers.json_lines(tmp_path / "run.jsonl")
    for update, seen in _history():
        writer.write(update, seen)
    writer.close()
    read = writers.read_json_lines(tmp_path / "run.jsonl")
    dataset = writers.to_dataset(read)
    expected = writers.to_dataset(_history())
    for name, values in expected.data_vars.items():
        np.testing.assert_array_equal(dataset[name], values, err_msg=name)
        assert len(values.attrs["long_name"]) > 5
    assert dataset["net_loss"].dims == ("update",)
    watch = gj.watch(lambda params, x: x)
    assert watch.findings(read) == watch.findings(_history())


def test_scalars_are_a_plain_dict_that_a_logger_takes(tmp_path):
    """As tensorboardX's own writer takes them, read back from its event file by hand."""
    tensorboardX = pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    update, seen = _history()[-1]
    found = gj.watch(lambda params, x: x).scalars(seen)
    assert {type(value) for value in found.values()} == {float}
    assert found["net/loss"] == seen.overall["loss"]
    place = seen.sites.index("middle/w[3]")
    assert found["middle/w[3]/step"] == seen.values["step"][place]
    assert not any(np.isnan(value) for value in found.values())
    with tensorboardX.SummaryWriter(str(tmp_path)) as logger:
        for tag, value in found.items():
            logger.add_scalar(tag, value, update)
    (path,) = tmp_path.iterdir()
    data, logged = path.read_bytes(), 0
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]
        logged += sum(value.simple_value in found.values() for value in event.summary.value)
    assert logged == len(found)


def test_without_gradients_those_of_the_batch_are_taken():
    model, _ = traced("plain_mlp")
    watch = gj.watch(model.apply, optax.sgd(0.1))

    @jax.jit
    def both(params):
        grads = jax.grad(lambda p: jnp.mean(cross_entropy(model.apply(p, model.x), labels())))
        state, batch = watch.init(params), (model.x, labels())
        return [watch(state, params, given, batch)[1] for given in (grads(params), None)]

    given, own = both(model.params)
    assert (given.values["step"] > 0).all()
    chex.assert_trees_all_close(given, own, rtol=1e-5)


def test_an_optimizer_with_a_state_must_be_given_it():
    model, _ = traced("plain_mlp")
    batch = model.x, labels()
    for optimizer in (MOMENTUM, optax.sgd(optax.linear_schedule(1.0, 0.0, 10))):
        watch = gj.watch(model.apply, optimizer)
        with pytest.raises(ValueError, match=r"^opt_state: is needed, because"):
            watch(watch.init(model.params), model.params, model.params, batch)
    watch = gj.watch(model.apply)
    _, seen = watch(watch.init(model.params), model.params, model.params, batch)
    assert np.isnan(seen.values["step"]).all()


@pytest.mark.parametrize("every", [0, -1, 2.0, True, "2"])
def test_every_is_a_positive_whole_number(every):
    with pytest.raises(ValueError, match=r"^every: .* is not a positive whole number$"):
        gj.watch(lambda params, x: x, every=every)


def test_what_else_is_refused():
    model, _ = traced("plain_mlp")
    with pytest.raises(ValueError, match=r"^optimizer: is of type float, not an optax"):
        gj.watch(model.apply, 0.1)
    watch = gj.watch(model.apply)
    state = watch.init(model.params)
    with pytest.raises(ValueError, match=r"^batch: is of type .* not a tuple of x and y$"):
        watch(state, model.params, model.params, model.x)
    with pytest.raises(ValueError, match=r"^cost: \[6\] is not one number, the mean cost$"):
        watch(state, model.params, model.params, (model.x, labels()), cost=jnp.ones(6))
