"""Shapeset-3x2 against its specification, and against images of the authors' own program."""

import math

import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import strategies
from scipy import stats

from glorot_jax.data import shapeset, stream

SIDES = (3, 4, 20)
CLASS_CHANCE = np.array([3, 3, 3, 2, 2, 2, 1, 1, 1]) / 18
# Of the 10 000 images in shapeset_reference.npz, drawn with the authors' program under pygame
# 2.6.1: images of each class, and the mean number of pixels a single shape covers (standard errors
# 1.1, 1.7 and 2.6).
REFERENCE_COUNTS = (1703, 1645, 1649, 1091, 1132, 1108, 564, 545, 563)
REFERENCE_AREAS = (99.03, 142.61, 220.77)
# Fixed seeds, so a test passes always or never; a sound generator fails one in a thousand tests.
ALPHA = 1e-3


@pytest.fixture(scope="module", autouse=True)
def _optimized():
    """So many images are drawn here that running takes longer than compiling."""
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()  # of what another file compiled without: its last bits differ
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module")
def reference(test_data_dir):
    """Images [10000, 32, 32] uint8, axes (x, y), and labels [10000]."""
    with np.load(test_data_dir / "shapeset_reference.npz") as file:
        return file["images"], file["labels"]


@pytest.fixture(scope="module")
def scenes():
    """20 000 scenes as NumPy arrays."""
    drawn = jax.jit(lambda key: shapeset.draw_scenes(key, 20_000))(jax.random.key(1))
    return jax.tree.map(np.asarray, drawn)


@pytest.fixture(scope="module")
def painted(scenes):
    """The images [20000, 32, 32] of ``scenes``, in [0, 1], and their labels."""
    batch = jax.jit(lambda scenes: shapeset.paint(scenes, pixel_range=(0.0, 1.0)))(scenes)
    return np.asarray(batch.x).reshape(-1, 32, 32), np.asarray(batch.y)


@pytest.fixture(scope="module")
def many():
    """Labels and covered pixels of 100 000 images."""

    def describe(key):
        batch = shapeset.sample(key, 1000)
        return batch.y, (batch.x != batch.x[:, :1]).sum(axis=1)

    keys = jax.random.split(jax.random.key(2), 100)
    labels, covered = jax.jit(lambda keys: jax.lax.map(describe, keys))(keys)
    return np.asarray(labels).ravel(), np.asarray(covered).ravel()


def foreground(images):
    return images != images[:, :1, :1]


# --- the call -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "size"), [(1, 32), (7, 10), (40, 64)])
def test_sample_has_the_promised_shapes_and_types(n, size):
    batch = shapeset.sample(jax.random.key(0), n, size=size)
    chex.assert_shape(batch, [(n, size * size), (n,)])
    chex.assert_type(batch, [jnp.float32, jnp.int32])


def test_same_key_same_images_and_another_key_others():
    key, other = jax.random.split(jax.random.key(0))
    chex.assert_trees_all_equal(shapeset.sample(key, 200), shapeset.sample(key, 200))
    assert (shapeset.sample(key, 200).x != shapeset.sample(other, 200).x).any(axis=1).all()


def test_jit_vmap_and_loop_change_nothing():
    keys = jax.random.split(jax.random.key(0), 3)
    alone = [shapeset.sample(key, 200) for key in keys]
    alone = jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone)

    def draw(key):
        return shapeset.sample(key, 200)

    chex.assert_trees_all_equal(jax.jit(jax.vmap(draw))(keys), alone)
    chex.assert_trees_all_equal(jax.vmap(draw)(keys), alone)
    chex.assert_trees_all_equal(jax.jit(lambda keys: jax.lax.map(draw, keys))(keys), alone)


def test_lowers_for_accelerators():
    draw = jax.jit(lambda key: shapeset.sample(jax.random.wrap_key_data(key), 100))
    data = jax.ShapeDtypeStruct((2,), jnp.uint32)
    exported = jax.export.export(draw, platforms=["tpu", "cuda"])(data)
    assert exported.out_avals[0].shape == (100, 1024)


@pytest.mark.parametrize(
    ("n", "options", "field"),
    [
        (0, {}, "n"),
        (-3, {}, "n"),
        (5, {"size": 9}, "size"),
        (5, {"pixel_range": (1.0, -1.0)}, "pixel_range"),
        (5, {"pixel_range": (0.0, 0.0)}, "pixel_range"),
        (5, {"pixel_range": (0.0, math.inf)}, "pixel_range"),
        (5, {"pixel_range": (0.0, math.nan)}, "pixel_range"),
        (5, {"pixel_range": (0.0, 0.5, 1.0)}, "pixel_range"),
    ],
)
def test_impossible_arguments_are_named(n, options, field):
    with pytest.raises(ValueError, match=f"^{field}: .* is not ") as error:
        shapeset.sample(jax.random.key(0), n, **options)
    value = {"n": n, **options}[field]
    assert str(value) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("field", ["block_size", "validation", "test"])
def test_task_names_the_empty_set(field):
    with pytest.raises(ValueError, match=f"^{field}: 0 is not "):
        shapeset.task(jax.random.key(0), **{field: 0})


# --- the stream -----------------------------------------------------------------------------------


def test_stream_never_repeats_and_runs_in_scan_and_vmap():
    train = shapeset.stream(block_size=20)
    keys = jax.random.split(jax.random.key(0), 2)

    def walk(key):
        return jax.lax.scan(
            lambda state, _: train.next(train.arrays, state), train.init(key), length=5
        )[1]

    blocks = jax.jit(jax.vmap(walk))(keys)
    chex.assert_shape(blocks.x, (2, 5, 20, 1024))
    assert len(np.unique(np.asarray(blocks.x).reshape(200, 1024), axis=0)) == 200


def test_task_holds_out_images_that_training_never_shows():
    key = jax.random.key(3)
    task = shapeset.task(key, block_size=50, validation=50, test=50, pixel_range=(0.0, 1.0))
    assert task.class_names == shapeset.CLASS_NAMES
    assert len(task.class_names) == 9
    state, blocks = task.train.init(key), [task.validation.x, task.test.x]
    for _ in range(3):
        state, block = task.train.next(task.train.arrays, state)
        blocks.append(block.x)
    images = np.concatenate(blocks)
    assert len(np.unique(images, axis=0)) == 250
    assert images.min() >= 0
    again = shapeset.task(key, block_size=10, validation=50, test=50, pixel_range=(0.0, 1.0))
    chex.assert_trees_all_equal(again.validation, task.validation)
    chex.assert_trees_all_equal(again.test, task.test)


def test_task_says_how_its_images_lie():
    task = shapeset.task(jax.random.key(0), size=20, validation=1, test=30, pixel_range=(0.0, 2.0))
    assert task.image_shape == (20, 20, 1)
    assert task.pixel_range == (0.0, 2.0)
    pictures = stream.images(task, task.test.x)
    # Pixel (x, y) is at x * size + y: x runs to the right and y downwards.
    np.testing.assert_array_equal(pictures[:, 3, 7, 0], task.test.x[:, 7 * 20 + 3])


# --- labels and grey levels -----------------------------------------------------------------------


def test_class_frequencies(many):
    counts = np.bincount(many[0], minlength=9)
    assert stats.chisquare(counts, CLASS_CHANCE * counts.sum()).pvalue > ALPHA
    both = np.stack([counts, REFERENCE_COUNTS])
    assert stats.chi2_contingency(both).pvalue > ALPHA


def test_reference_has_the_recorded_counts_and_areas(reference):
    images, labels = reference
    assert tuple(np.bincount(labels)) == REFERENCE_COUNTS
    covered = foreground(images).sum(axis=(1, 2))
    areas = [covered[labels == kind].mean() for kind in range(3)]
    np.testing.assert_allclose(areas, REFERENCE_AREAS, atol=0.005)


def test_labels_name_the_shapes(scenes, painted):
    names = ("triangle", "parallelogram", "ellipse")
    for first, second, pair, label in zip(
        scenes.first.kind[:500], scenes.second.kind[:500], scenes.pair, painted[1], strict=False
    ):
        expected = sorted([names[first], names[second]] if pair else [names[first]])
        assert sorted(shapeset.CLASS_NAMES[label].split(" + ")) == expected


def test_polarity_is_a_fair_coin_apart_from_the_label(scenes, painted):
    light = scenes.levels[0] > 0.5
    assert stats.binomtest(int(light.sum()), len(light)).pvalue > ALPHA
    table = np.histogram2d(light, painted[1], bins=(2, 9))[0]
    assert stats.chi2_contingency(table).pvalue > ALPHA
    assert (light[None] != (scenes.levels[1:] > 0.5)).all()


def test_grey_levels_are_uniform_and_independent(scenes):
    levels = scenes.levels.astype(np.float64)
    unit = np.where(levels > 0.5, levels - 0.55, levels) / 0.45
    for one in unit:
        assert stats.kstest(one, "uniform").pvalue > ALPHA
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert stats.pearsonr(unit[i], unit[j]).pvalue > ALPHA


def test_grey_levels_match_the_reference(reference, scenes):
    images, labels = reference
    # The authors draw whole numbers, 0..114 and 140..255 of 255: cut ours into as many equal steps.
    levels = scenes.levels.astype(np.float64)
    steps = np.where(levels > 0.5, 140 + (levels - 0.55) / 0.45 * 116, levels / 0.45 * 115)
    ours = np.floor(steps)
    assert stats.ks_2samp(ours[0], images[:, 0, 0].astype(float)).pvalue > ALPHA
    single = images[labels < 3]
    shape = [image[mask].max() for image, mask in zip(single, foreground(single), strict=True)]
    assert stats.ks_2samp(ours[1], np.array(shape, float)).pvalue > ALPHA


def test_pixels_are_the_levels_and_nothing_between(scenes, painted):
    images, labels = painted
    for image, levels, pair, label in zip(
        images[:300], scenes.levels.T, scenes.pair, labels, strict=False
    ):
        assert image[0, 0] == pytest.approx(levels[0], abs=1e-6)
        found = np.unique(image)
        assert np.abs(found[:, None] - levels[None]).min(axis=1).max() < 1e-6
        assert len(found) == 2 if label < 3 else len(found) in (2, 3)
        assert pair == (label >= 3)


def test_pixel_range_only_maps_the_greys(painted, scenes):
    unit = painted[0].reshape(-1, 1024)[:300]
    some = jax.tree.map(lambda leaf: leaf[..., :300], scenes)
    signed = shapeset.paint(some, pixel_range=(-1.0, 1.0)).x
    np.testing.assert_array_equal(signed, 2 * unit - 1)
    wide = shapeset.paint(some, pixel_range=(10.0, 14.0)).x
    np.testing.assert_allclose(wide, 10 + 4 * unit, rtol=1e-6)
    assert 0 <= unit.min() < 0.01
    assert 0.99 < unit.max() <= 1


# --- geometry -------------------------------------------------------------------------------------


def vertices_by_the_book(kind, tilt, turn, axes):
    """Step 4 of the specification for one shape, in float64: [sides, 2]."""

    def rotation(angle):
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    n = SIDES[kind]
    angle = 2 * np.pi * (np.arange(n) / n + 1 / (2 * n) + 1 / 4)
    regular = 0.5 * np.stack([np.cos(angle), np.sin(angle)])
    a, b = axes.astype(np.float64)
    scaled = np.diag([a, b]) @ rotation(tilt) @ regular
    level = rotation(-np.arctan(b / a * np.tan(tilt))) @ scaled
    bottom = np.sort(level[1])[-2:]
    assert bottom[1] - bottom[0] < 1e-4  # the base is horizontal before the last rotation
    return (rotation(turn) @ level).T


def test_vertices_follow_the_specification(scenes):
    for shapes in (scenes.first, scenes.second):
        for i in range(300):
            kind = shapes.kind[i]
            found = shapes.vertices[:, :, i].T
            expected = vertices_by_the_book(kind, shapes.tilt[i], shapes.turn[i], shapes.axes[:, i])
            np.testing.assert_allclose(found[: SIDES[kind]], expected, atol=2e-5)
            np.testing.assert_array_equal(
                found[SIDES[kind] :], found[-1:].repeat(20, 0)[SIDES[kind] :]
            )


def test_first_shapes_are_drawn_by_the_specified_laws(scenes):
    first = jax.tree.map(lambda leaf: leaf.astype(np.float64), scenes.first)
    sides = np.array(SIDES)[scenes.first.kind]
    assert stats.kstest((first.tilt * sides / np.pi + 1) / 2, "uniform").pvalue > ALPHA
    assert stats.kstest(first.turn / (2 * np.pi), "uniform").pvalue > ALPHA
    # The larger and the smaller of two uniform numbers have distributions t^2 and 1 - (1 - t)^2.
    larger, smaller = (first.axes / 32 - 0.2) / 0.6
    assert stats.kstest(larger, lambda t: t**2).pvalue > ALPHA
    assert stats.kstest(smaller, lambda t: 1 - (1 - t) ** 2).pvalue > ALPHA
    low, high = 1 - first.vertices.min(axis=1), 31 - first.vertices.max(axis=1)
    x, y = (first.centre - low) / (high - low)
    assert stats.kstest(x, "uniform").pvalue > ALPHA
    assert stats.kstest(y, "uniform").pvalue > ALPHA
    assert stats.pearsonr(x, y).pvalue > ALPHA


def estimated_overlap(first, second, i):
    """Step 6 of the specification for image i, in float64."""
    centres = [shapes.centre[:, i].astype(np.float64) for shapes in (first, second)]
    line = centres[1] - centres[0]
    distance = np.hypot(*line)
    p = (line @ first.vertices[:, :, i]).max() + (-line @ second.vertices[:, :, i]).max()
    p /= distance
    area = []
    for shapes in (first, second):
        n = SIDES[shapes.kind[i]]
        area.append(np.prod(shapes.axes[:, i]) * n * np.sin(2 * np.pi / n) / (2 * np.pi))
    if p < distance:
        return 0.0
    return area[1] / area[0] * (1 - np.exp(-(p - distance) * np.log(2) / distance))


def test_overlap_estimate_is_the_specified_one(scenes):
    # Shapes of different images: any overlap occurs, not only those the generator lets through.
    second = jax.tree.map(lambda leaf: np.roll(leaf, 1, axis=-1), scenes.first)
    found = np.asarray(shapeset.estimated_overlap(scenes.first, second))[:1000]
    expected = np.array([estimated_overlap(scenes.first, second, i) for i in range(1000)])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert (expected == 0).mean() > 0.1
    assert (expected > 0.5).mean() > 0.2


def test_no_pair_overlaps_by_more_than_half(scenes):
    pairs = np.flatnonzero(scenes.pair)[:3000]
    overlap = np.array([estimated_overlap(scenes.first, scenes.second, i) for i in pairs])
    assert overlap.max() <= 0.5 + 1e-5
    assert overlap.max() > 0.49  # the rule binds


def test_pairs_beyond_the_last_try_keep_their_first_shape(monkeypatch):
    monkeypatch.setattr(shapeset, "MAX_TRIES", 1)
    scenes = jax.jit(lambda key: shapeset.draw_scenes(key, 4000))(jax.random.key(5))
    monkeypatch.setattr(shapeset, "MAX_TRIES", 50)
    patient = jax.jit(lambda key: shapeset.draw_scenes(key, 4000))(jax.random.key(5))
    scenes, patient = jax.tree.map(np.asarray, (scenes, patient))
    gave_up = np.flatnonzero(patient.pair & ~scenes.pair)
    assert not (scenes.pair & ~patient.pair).any()
    assert 500 < len(gave_up) < 1200
    assert all(estimated_overlap(scenes.first, scenes.second, i) > 0.5 - 1e-5 for i in gave_up)
    batch = shapeset.paint(jax.tree.map(jnp.asarray, scenes))
    np.testing.assert_array_equal(np.asarray(batch.y)[gave_up], scenes.first.kind[gave_up])
    images = np.asarray(batch.x).reshape(-1, 32, 32)[gave_up]
    assert all(len(np.unique(image)) == 2 for image in images)


def test_fifty_tries_leave_no_pair_behind(many):
    # So the classes need no correction: 15 failures in a row are seen in 2 pairs of 1000, 30 in 2
    # of 10 000.
    pairs = int((many[0] >= 3).sum())
    assert stats.binomtest(pairs, len(many[0])).pvalue > ALPHA


_draw_200 = jax.jit(lambda key: (shapeset.draw_scenes(key, 200), shapeset.sample(key, 200)))


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True, database=None)
@hypothesis.given(strategies.integers(0, 2**32 - 1))
def test_every_shape_keeps_a_margin_of_one_pixel(seed):
    scenes, batch = jax.tree.map(np.asarray, _draw_200(jax.random.key(seed)))
    for shapes in (scenes.first, scenes.second):
        corners = shapes.vertices + shapes.centre[:, None]
        assert corners.min() >= 1 - 1e-5
        assert corners.max() <= 31 + 1e-5
    border = np.ones((32, 32), bool)
    border[1:-1, 1:-1] = False
    images = batch.x.reshape(-1, 32, 32)
    assert not foreground(images)[:, border].any()
    assert foreground(images).any(axis=(1, 2)).all()


# --- painting -------------------------------------------------------------------------------------


def fill_polygon(vertices, size):
    """pygame 2.6.1's ``draw.polygon`` in whole-number arithmetic: a mask [x, y].

    Every line y is crossed by the edges that start at or above it and end below it (on the last
    line, also by those that end there); crossings are sorted and filled two by two, and horizontal
    edges are drawn.
    """
    mask = np.zeros((size, size), bool)
    corners = [(int(x), int(y)) for x, y in vertices]
    edges = [
        sorted(edge, key=lambda corner: corner[1])
        for edge in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    top, bottom = min(y for _, y in corners), max(y for _, y in corners)
    for y in range(top, bottom + 1):
        crossings = sorted(
            (y - y1) * (x2 - x1) // (y2 - y1) + x1
            for (x1, y1), (x2, y2) in edges
            if y1 != y2 and (y1 <= y < y2 or y == y2 == bottom)
        )
        for left, right in zip(crossings[::2], crossings[1::2], strict=True):
            mask[left : right + 1, y] = True
    for (x1, y1), (x2, y2) in edges:
        if y1 == y2:
            mask[min(x1, x2) : max(x1, x2) + 1, y1] = True
    return mask


@pytest.mark.parametrize("size", [32, 64])
def test_every_pixel_is_painted_as_by_the_authors_program(size):
    draw = jax.jit(lambda key: shapeset.draw_scenes(key, 1000, size=size))
    scenes = draw(jax.random.key(6))
    images = shapeset.paint(scenes, size=size, pixel_range=(0.0, 1.0)).x
    images = np.asarray(images).reshape(-1, size, size)
    scenes = jax.tree.map(np.asarray, scenes)
    for i, image in enumerate(images):
        expected = np.full((size, size), scenes.levels[0, i])
        for shapes, level in ((scenes.first, 1), (scenes.second, 2)):
            if level == 2 and not scenes.pair[i]:
                continue
            corners = shapes.vertices[:, :, i] + shapes.centre[:, None, i]
            mask = fill_polygon(corners[:, : SIDES[shapes.kind[i]]].T, size)
            expected[mask] = scenes.levels[level, i]
        np.testing.assert_allclose(image, expected, atol=1e-6, err_msg=f"image {i}")


def test_paint_stays_within_two_pixels_of_the_exact_shape(scenes, painted):
    """Truncation moves vertices by less than sqrt(2) pixels, rounding a crossing by under one."""
    x, y = np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5, indexing="ij")
    for i in np.flatnonzero(~scenes.pair)[:500]:
        shapes = scenes.first
        corners = shapes.vertices[:, : SIDES[shapes.kind[i]], i] + shapes.centre[:, None, i]
        edges = np.roll(corners, -1, axis=1) - corners
        lengths = np.hypot(*edges)[:, None, None]
        dx, dy = x[None] - corners[0][:, None, None], y[None] - corners[1][:, None, None]
        inward = (edges[0][:, None, None] * dy - edges[1][:, None, None] * dx) / lengths
        depth = inward.min(axis=0)  # from the nearest edge's line; negative outside
        covered = foreground(painted[0][i : i + 1])[0]
        assert covered[depth > 2].all()
        assert not covered[depth < -2].any()


def test_covered_area_matches_the_reference(many):
    labels, covered = many
    areas = [covered[labels == kind].mean() for kind in range(3)]
    np.testing.assert_allclose(areas, REFERENCE_AREAS, rtol=0.03)


def test_covered_area_distributions_match_the_reference(many, reference):
    images, theirs = reference
    areas = foreground(images).sum(axis=(1, 2))
    for label in range(9):
        ours = many[1][many[0] == label]
        assert stats.ks_2samp(ours, areas[theirs == label]).pvalue > ALPHA, label


def test_places_covered_match_the_reference(painted, reference):
    ours, theirs = (foreground(images) for images in (painted[0], reference[0]))
    for axes in ((1,), (2,)):  # the share of images that reach each row, then each column
        ours_reach, theirs_reach = ours.any(axis=axes), theirs.any(axis=axes)
        n, m = len(ours_reach), len(theirs_reach)
        pooled = (ours_reach.sum(axis=0) + theirs_reach.sum(axis=0)) / (n + m)
        error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        gap = np.abs(ours_reach.mean(axis=0) - theirs_reach.mean(axis=0))
        limit = stats.norm.isf(ALPHA / 2 / 64)  # 64 comparisons in all
        assert (gap <= limit * error).all()


def test_shapes_have_the_area_their_axes_say_at_any_size():
    draw = jax.jit(lambda key: shapeset.draw_scenes(key, 2000, size=64))
    first = jax.tree.map(np.asarray, draw(jax.random.key(7))).first
    x, y = first.vertices.astype(np.float64)
    shoelace = (x * np.roll(y, -1, axis=0) - y * np.roll(x, -1, axis=0)).sum(axis=0) / 2
    n = np.array(SIDES)[first.kind]
    expected = first.axes.prod(axis=0) / 4 * n / 2 * np.sin(2 * np.pi / n)
    np.testing.assert_allclose(shoelace, expected, rtol=1e-4)
    assert 12.8 <= first.axes.min() < 13.2
    assert 50.8 < first.axes.max() <= 51.2


# --- what a network makes of it -------------------------------------------------------------------


def test_a_network_trained_on_ours_errs_alike_on_the_reference(reference):
    """2 points are 3 standard errors: 0.5 for 10 000 reference images, 0.25 for 40 000 of ours."""
    block, updates = 200, 3000
    optimiser = optax.sgd(0.05, momentum=0.9)
    shapes = ((1024, 128), (128, 128), (128, 9))

    def logits(params, x):
        for w, b in params[:-1]:
            x = jax.nn.relu(x @ w + b[None])
        return x @ params[-1][0] + params[-1][1][None]

    def loss(params, batch):
        losses = optax.softmax_cross_entropy_with_integer_labels(logits(params, batch.x), batch.y)
        return losses.mean()

    def update(carry, key):
        params, state = carry
        grads = jax.grad(loss)(params, shapeset.sample(key, block))
        change, state = optimiser.update(grads, state, params)
        return (optax.apply_updates(params, change), state), None

    def error(params, x, y):
        return float((jnp.argmax(logits(params, x), axis=1) != y).mean())

    key, held_out = jax.random.split(jax.random.key(8))
    keys = jax.random.split(key, len(shapes))
    he = jax.nn.initializers.he_normal()
    params = [
        (he(k, shape, jnp.float32), jnp.zeros(shape[1]))
        for k, shape in zip(keys, shapes, strict=True)
    ]
    train = jax.jit(lambda carry, keys: jax.lax.scan(update, carry, keys)[0])
    params, _ = train((params, optimiser.init(params)), jax.random.split(key, updates))

    images, labels = reference
    theirs = jnp.asarray(images.reshape(-1, 1024), jnp.float32) / 255 * 2 - 1
    ours = shapeset.sample(held_out, 40_000)
    ours_error = error(params, *ours)
    theirs_error = error(params, theirs, jnp.asarray(labels, jnp.int32))
    assert ours_error < 0.65  # always answering one class errs 0.833
    assert abs(ours_error - theirs_error) < 0.02, (ours_error, theirs_error)
