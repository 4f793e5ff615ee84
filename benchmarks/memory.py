"""Memory of the training program at the paper's sizes, as XLA plans it, with members under vmap.

  python -m benchmarks.memory --members=16

Nothing is run: the program is compiled as for an accelerator, all members at once, on whatever
backend there is, and its own account of its buffers is printed.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from absl import app, flags

from experiments.configs import base
from glorot_jax.data import shapeset
from glorot_jax.data.stream import Batch, Stream, Task
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training import loop
from glorot_jax.training.optimizers import OPTIMIZERS
from glorot_jax.training.update import make_update

_MEMBERS = flags.DEFINE_integer("members", 16, "Members on the one device.")
_PER_SEED = flags.DEFINE_integer("per_seed", 4, "Members that share an example stream.")
_OPTIMIZER = flags.DEFINE_enum("optimizer", "sgd", list(OPTIMIZERS), "How members are updated.")
GIB = 2**30


def _held_out(count: int) -> Batch:
    return Batch(jnp.zeros((count, 1024)), jnp.zeros(count, jnp.int32))


def main(argv: Sequence[str]) -> None:
    del argv
    settings = base.paper("paper").online
    classes = len(shapeset.CLASS_NAMES)
    model = MLP((settings.width,) * 5, classes)
    stream: Stream = shapeset.stream(block_size=settings.block_size)
    task = Task(
        name="shapeset",
        class_names=shapeset.CLASS_NAMES,
        train=stream,
        validation=_held_out(settings.validation_examples),
        test=_held_out(settings.test_examples),
        image_shape=(32, 32, 1),
        origin="zeros of Shapeset's sizes",
    )
    sets = loop.held_out(task, probe_examples=settings.probe_examples)
    mesh = ensembles.member_mesh(jax.devices()[:1])
    method = OPTIMIZERS[_OPTIMIZER.value]
    ensemble = ensembles.create(
        [
            ensembles.Variant(index // _PER_SEED.value, 0.01, model.kernel_init)
            for index in range(_MEMBERS.value)
        ],
        model=model,
        inputs=1024,
        make_optimizer=method.make,
        stream=stream,
        key=jax.random.key(0),
        mesh=mesh,
    )
    over = ensembles.map_members
    ensembles.map_members = lambda _: over("gpu")
    advance = ensembles.make_advance(
        update=make_update(model, cross_entropy, method.make, method.extra),
        probe=loop.make_probe(model, cross_entropy, bins=settings.bins),
        stream=stream,
        batch_size=settings.batch_size,
        mesh=mesh,
    )
    plan = advance.lower(ensemble, (), sets, jnp.asarray(1)).compile().memory_analysis()
    print(
        f"{_MEMBERS.value} members of 5 x {settings.width}, {_OPTIMIZER.value}: "
        f"arguments {plan.argument_size_in_bytes / GIB:.2f} GiB "
        f"(members and sets), temporaries {plan.temp_size_in_bytes / GIB:.2f} GiB, "
        f"outputs {plan.output_size_in_bytes / GIB:.2f} GiB of which "
        f"{plan.alias_size_in_bytes / GIB:.2f} GiB in place"
    )


if __name__ == "__main__":
    app.run(main)
