"""How a stage's networks are dealt out to programs and their checkpoints."""

import jax
import numpy as np
import pytest

from experiments.checkpoint import CheckpointError, Place
from experiments.configs import base
from experiments.measurements import trained
from glorot_jax.data.stream import Batch, Task, finite_stream


def settings(*networks):
    config = base.paper("smoke").online
    config.conditions = networks
    return config


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tanh standard", "jax.nn:tanh standard"),
        ("jax.nn:tanh standard", "jax.numpy:tanh standard"),
        ("tanh standard", "tanh standard 4"),
        ("tanh standard", "tanh standard shape=growing"),
        ("tanh standard", "tanh standard loss=quadratic"),
    ],
)
def test_two_programs_never_share_a_name(first, second):
    config = settings(first, second)
    networks = trained.conditions(config, field="f")
    made = trained.programs(networks, config, classes=9)
    assert [len(program.conditions) for program in made] == [1, 1]
    assert len({program.name for program in made}) == 2
    assert not any(set("/:") & set(program.name) for program in made)


def test_networks_that_differ_in_how_they_start_share_a_program():
    config = settings("tanh standard", "tanh normalized", "tanh denoising")
    (program,) = trained.programs(trained.conditions(config, field="f"), config, classes=9)
    assert program.name == "tanh-5"


def test_a_checkpoint_of_other_members_is_refused(tmp_path):
    examples = Batch(
        np.linspace(-1, 1, 300 * 4, dtype=np.float32).reshape(300, 4), np.arange(300) % 3
    )
    task = Task(
        name="made_up",
        class_names=("a", "b", "c"),
        train=finite_stream(examples, block_size=100),
        validation=examples,
        test=examples,
        image_shape=(2, 2, 1),
        origin="made up",
    )
    place = Place(tmp_path, {"stage": "online"}, 0.0)

    def measure(scheme: str):
        config = settings(f"tanh {scheme} 1")
        config.seeds, config.learning_rates, config.updates, config.points = 1, (0.1,), 10, 1
        return trained.measure(config, task, key=jax.random.key(0), checkpoints=place)

    first = measure("standard")
    assert (tmp_path / "tanh-1/10.npz").is_file()
    with pytest.raises(
        CheckpointError, match=r"belongs to another run: members .*tanh orthogonal 1"
    ):
        measure("orthogonal")
    np.testing.assert_array_equal(measure("standard")["test_error"], first["test_error"])
