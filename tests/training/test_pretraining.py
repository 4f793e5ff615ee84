"""Pre-training of a layer: its gradient against NumPy, its noise, and what it leaves alone."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, xlogy

from glorot_jax.activations import ACTIVATIONS
from glorot_jax.data import shapeset
from glorot_jax.data.stream import Batch, finite_stream
from glorot_jax.initialization import scheme
from glorot_jax.losses import cross_entropy as classification_cost
from glorot_jax.network import MLP, logits
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training import pretraining
from glorot_jax.training.loop import HeldOut
from glorot_jax.training.pretraining import begin_layer, make_layer_probe, make_layer_update, mask
from glorot_jax.training.update import one_by_one
from tests import numpy_net

SIZES = (6, 5, 4, 3)
RATE = 0.05
X, Y = numpy_net.random_examples(0, 10, SIZES[0], SIZES[-1])
# (activation, layer, pixel range): whether the layer's input lies in [0, 1].
CASES = {
    ("tanh", 1, (-1.0, 1.0)): False,
    ("tanh", 1, (0.0, 1.0)): True,
    ("tanh", 2, (0.0, 1.0)): False,
    ("softsign", 2, (0.0, 1.0)): False,
    ("sigmoid", 1, (-1.0, 1.0)): False,
    ("sigmoid", 2, (-1.0, 1.0)): True,
}
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[2]}")


def _model(activation="tanh", sizes=SIZES):
    return MLP(sizes[1:-1], sizes[-1], ACTIVATIONS[activation])


def _network(seed=1):
    return jax.tree.map(jnp.asarray, numpy_net.random_params(seed, SIZES))


def _begin(layer=1, *, seed=1, key=0, rate=RATE):
    member = begin_layer(_network(seed), layer, jax.random.key(key), rate)
    # Not 0, as it is after some updates.
    bias = jnp.linspace(-0.5, 0.5, SIZES[layer - 1])
    return member._replace(params={**member.params, "visible_bias": bias})


def _batch(pixel_range=(-1.0, 1.0)):
    return Batch(jnp.asarray(X if pixel_range[0] < 0 else (X + 1) / 2), jnp.asarray(Y))


def _sets(batch):
    return HeldOut(validation=batch, test=batch, probe=batch)


def _layer(params, layer):
    """kernel, bias, visible bias in float64."""
    own = params["network"][f"hidden_{layer:02d}"]
    leaves = (own["kernel"], own["bias"], params["visible_bias"])
    return [np.asarray(leaf, np.float64) for leaf in leaves]


def _numpy_cost(trained, corrupted, z, activation, is_probability):
    kernel, bias, visible = trained
    hidden = numpy_net.ACTIVATIONS[activation][0](corrupted @ kernel + bias)
    s = hidden @ kernel.T + visible
    if is_probability:
        p = expit(s)
        return -(xlogy(z, p) + xlogy(1 - z, 1 - p)).sum(axis=1).mean()
    return ((s - z) ** 2).sum(axis=1).mean()


def _numpy_gradient(trained, corrupted, z, activation, is_probability):
    """By hand: the tied kernel has a gradient from either of its uses."""
    kernel, bias, visible = trained
    f, slope = numpy_net.ACTIVATIONS[activation]
    below = corrupted @ kernel + bias
    s = f(below) @ kernel.T + visible
    ds = (expit(s) - z if is_probability else 2 * (s - z)) / len(z)
    dh = (ds @ kernel) * slope(below)
    return corrupted.T @ dh + ds.T @ f(below), dh.sum(axis=0), ds.sum(axis=0)


@cases
def test_an_update_is_a_step_down_the_gradient_of_numpy(case):
    activation, layer, pixel_range = case
    member, batch = _begin(layer), _batch(pixel_range)
    update = make_layer_update(_model(activation), layer, corruption=0.4, pixel_range=pixel_range)
    after = jax.jit(update)(member, batch)
    _, z = numpy_net.forward(member.params["network"], batch.x, activation)
    z = z[layer - 1]
    # The noise is what the state's key says it is.
    _, now = jax.random.split(member.opt_state.noise)
    corrupted = np.asarray(mask(now, jnp.asarray(z, jnp.float32), 0.4), np.float64)
    assert 0 < (corrupted == 0).mean() < 1
    trained = _layer(member.params, layer)
    gradient = _numpy_gradient(trained, corrupted, z, activation, CASES[case])
    expected = [value - RATE * d for value, d in zip(trained, gradient, strict=True)]
    chex.assert_trees_all_close(_layer(after.params, layer), expected, rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, member)


@cases
def test_the_cost_is_that_of_clean_examples(case):
    activation, layer, pixel_range = case
    member, batch = _begin(layer), _batch(pixel_range)
    probe = make_layer_probe(_model(activation), layer, pixel_range=pixel_range)
    found = jax.jit(probe)(member.params, _sets(batch))
    z = numpy_net.forward(member.params["network"], batch.x, activation)[1][layer - 1]
    expected = _numpy_cost(_layer(member.params, layer), z, z, activation, CASES[case])
    assert found.keys() == {"reconstruction_cost"}
    np.testing.assert_allclose(found["reconstruction_cost"], expected, rtol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_unbounded_units_are_reconstructed_as_real_numbers(activation):
    assert pretraining.reconstruction(_model(activation), 2, (0, 1)) is pretraining.squared_error
    assert pretraining.reconstruction(_model(activation), 1, (0, 1)) is pretraining.cross_entropy


@pytest.mark.parametrize("layer", [1, 2])
def test_only_the_layer_itself_changes(layer):
    member = _begin(layer)
    update = make_layer_update(_model(), layer, corruption=0.3, pixel_range=(-1, 1))
    after = jax.jit(update)(member, _batch())
    name = f"hidden_{layer:02d}"
    for other in {"hidden_01", "hidden_02", "output"} - {name}:
        chex.assert_trees_all_equal(after.params["network"][other], member.params["network"][other])
    for leaf, was in zip(_layer(after.params, layer), _layer(member.params, layer), strict=True):
        assert not np.allclose(leaf, was, atol=1e-4)
    # The upper layers and the labels have no part in it.
    upper = {
        **member.params["network"],
        "output": jax.tree.map(jnp.zeros_like, _network()["output"]),
    }
    blind = member._replace(params={**member.params, "network": upper})
    again = jax.jit(update)(blind, Batch(_batch().x, jnp.zeros_like(_batch().y)))
    chex.assert_trees_all_equal(again.params["network"][name], after.params["network"][name])


def test_a_member_begins_with_the_networks_own_weights():
    network = _network()
    for layer in (1, 2):
        member = begin_layer(network, layer, jax.random.key(0), RATE)
        chex.assert_trees_all_equal(member.params["network"], network)
        np.testing.assert_array_equal(member.params["visible_bias"], np.zeros(SIZES[layer - 1]))
        assert member.learning_rate == np.float32(RATE)


@pytest.mark.parametrize("corruption", [0.0, 0.25, 0.7])
def test_the_fraction_masked(corruption):
    z = jnp.ones((100, 400))
    masked = np.asarray(mask(jax.random.key(1), z, corruption))
    assert set(np.unique(masked)) <= {0.0, 1.0}
    spread = np.sqrt(corruption * (1 - corruption) / z.size)
    assert abs((masked == 0).mean() - corruption) <= 5 * spread


def test_noise_differs_from_update_to_update_and_from_member_to_member():
    update = jax.jit(make_layer_update(_model(), 1, corruption=0.5, pixel_range=(-1, 1)))
    batch = _batch()

    def noise(member):
        _, now = jax.random.split(member.opt_state.noise)
        return np.asarray(mask(now, jnp.ones((10, SIZES[0])), 0.5))

    members = [_begin(key=0, rate=0.0), _begin(key=1, rate=0.0)]
    seen = [noise(m) for m in (*members, update(members[0], batch))]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        # Two masks of 60 fair coins agree in 30 +- 4; in 50 or more once in 10 million.
        assert (seen[first] == seen[second]).sum() < 50
    # And it is the noise that the update goes by.
    after = [update(m._replace(learning_rate=jnp.float32(RATE)), batch) for m in members]
    kernels = [_layer(member.params, 1)[0] for member in after]
    assert not np.allclose(*kernels, atol=1e-5)
    np.testing.assert_array_equal(kernels[0], _layer(update(_begin(key=0), batch).params, 1)[0])


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_a_member_trains_in_an_ensemble_as_it_would_alone(platform):
    layer, block = 2, 20
    examples = Batch(*map(jnp.asarray, numpy_net.random_examples(3, 20, SIZES[0], SIZES[-1])))
    stream = finite_stream(examples, block_size=block)
    update = make_layer_update(_model(), layer, corruption=0.3, pixel_range=(-1, 1))
    probe = make_layer_probe(_model(), layer, pixel_range=(-1, 1))
    mesh = ensembles.member_mesh(jax.devices()[:1])
    members = [
        _begin(layer, seed=seed, key=seed, rate=rate) for seed, rate in ((1, 0.1), (2, 0.02))
    ]
    ensemble = ensembles.create(members, [0, 0], stream=stream, key=jax.random.key(7), mesh=mesh)
    _, blocks = jax.jit(stream.next)(
        stream.arrays, jax.tree.map(lambda leaf: leaf[0], ensemble.streams)
    )
    with pytest.MonkeyPatch.context() as patch:
        chosen = ensembles.map_members(platform)
        patch.setattr(ensembles, "map_members", lambda _: chosen)
        advance = ensembles.make_advance(
            train=one_by_one(update), probe=probe, stream=stream, batch_size=5, mesh=mesh
        )
    after, measured = advance(ensemble, stream.arrays, _sets(examples), 1)
    step = jax.jit(update)
    for row, member in enumerate(members):
        for first in range(0, block, 5):
            member = step(member, Batch(blocks.x[first : first + 5], blocks.y[first : first + 5]))
        ours = jax.tree.map(lambda leaf, row=row: leaf[row], after.members)
        chex.assert_trees_all_close(ours.params, member.params, rtol=1e-5, atol=1e-5)
        assert ours.opt_state.noise == member.opt_state.noise
        cost = probe(member.params, _sets(examples))["reconstruction_cost"]
        np.testing.assert_allclose(measured["reconstruction_cost"][row], cost, rtol=1e-4)


@pytest.mark.parametrize(
    ("activation", "pixel_range"), [("tanh", (-1.0, 1.0)), ("sigmoid", (0.0, 1.0))]
)
def test_every_layer_learns_to_reconstruct_images(activation, pixel_range):
    images = shapeset.sample(jax.random.key(4), 500, size=10, pixel_range=pixel_range)
    model = _model(activation, (100, 40, 30, len(shapeset.CLASS_NAMES)))
    batches = jax.tree.map(lambda leaf: leaf.reshape(50, 10, *leaf.shape[1:]), images)
    network = scheme("standard")(model, jax.random.key(5), images.x)
    for layer in (1, 2):
        update = make_layer_update(model, layer, corruption=0.25, pixel_range=pixel_range)
        probe = make_layer_probe(model, layer, pixel_range=pixel_range)

        @jax.jit
        def costs(member, update=update, probe=probe):
            after = jax.lax.scan(lambda m, b: (update(m, b), None), member, batches)[0]
            both = [probe(m.params, _sets(images)) for m in (member, after)]
            return after, [measured["reconstruction_cost"] for measured in both]

        member, (before, after) = costs(begin_layer(network, layer, jax.random.key(6), 0.01))
        assert after < before
        if layer == 1:  # better than the answer that knows of no image: the mean of all
            z = np.asarray(images.x, np.float64)
            mean = np.broadcast_to(z.mean(axis=0), z.shape)
            if activation == "tanh":
                assert after < ((z - mean) ** 2).sum(axis=1).mean()
            else:
                assert after < -(xlogy(z, mean) + xlogy(1 - z, 1 - mean)).sum(axis=1).mean()
        network = member.params["network"]
    # What comes out is a network to fine-tune.
    cost = classification_cost(logits(model, network, images.x), images.y)
    chex.assert_shape(cost, (500,))
    chex.assert_tree_all_finite(cost)


@pytest.mark.parametrize("layer", [0, 3])
def test_a_layer_that_is_not_hidden_is_refused(layer):
    message = rf"^layer: {layer} is not in 1\.\.2, the hidden layers$"
    with pytest.raises(ValueError, match=message):
        make_layer_update(_model(), layer, corruption=0.1, pixel_range=(0, 1))
    with pytest.raises(ValueError, match=message):
        make_layer_probe(_model(), layer, pixel_range=(0, 1))
    with pytest.raises(ValueError, match=message):
        begin_layer(_network(), layer, jax.random.key(0), RATE)


@pytest.mark.parametrize("corruption", [-0.1, 1.0, np.nan])
def test_a_corruption_that_is_no_fraction_is_refused(corruption):
    with pytest.raises(ValueError, match=rf"^corruption: {corruption} is not in \[0, 1\)$"):
        make_layer_update(_model(), 1, corruption=corruption, pixel_range=(0, 1))


def test_lowers_for_accelerators():
    update = make_layer_update(_model(), 2, corruption=0.1, pixel_range=(-1, 1))
    jax.export.export(jax.jit(update), platforms=["cpu", "tpu", "cuda"])(_begin(2), _batch())
