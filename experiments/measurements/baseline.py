"""The group ``baseline`` (section 5): an RBF SVM and a deep net on the same fixed Shapeset sample.

The paper gives two test errors and no procedure. Here both are chosen on one validation set: of
the SVM, C and the kernel's gamma; of the net, the learning rate and when to stop, because a net
that goes through a finite sample again and again ends by overfitting it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple, TypeAlias

import jax
import numpy as np
import optax
import xarray as xr
from ml_collections import ConfigDict

from experiments import checkpoint, svm
from experiments.checkpoint import Place
from experiments.networks import PAPER_DEPTH
from experiments.progress import Progress, progress
from experiments.results.schema import labelled
from experiments.training import Schedule, schedule, train
from glorot_jax import processes
from glorot_jax.activations import tanh
from glorot_jax.data import shapeset
from glorot_jax.data.stream import Batch, finite_stream
from glorot_jax.initializers import normalized
from glorot_jax.keys import named
from glorot_jax.losses import cross_entropy
from glorot_jax.network import MLP, Params, init, logits
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training import loop
from glorot_jax.training.blocked import make_sgd

Arrays: TypeAlias = dict[str, np.ndarray]
AT_ONCE = 4  # SVMs: each holds the kernel matrix of two classes

_COURSE = ("seed", "learning_rate", "update")
_DIMS = {  # of what isn't one value a seed
    "svm_validation_error": ("seed", "c", "gamma"),
    "net_validation_error": _COURSE,
    "net_test_error_course": _COURSE,
}
_SIZES = ("training_examples", "validation_examples", "test_examples")


class Sample(NamedTuple):
    """One seed's examples, the same for both: what is learned from, chosen on and tested on."""

    train: Batch
    validation: Batch
    test: Batch


def measure(
    settings: ConfigDict,
    *,
    pixel_range: tuple[float, float],
    key: jax.Array,
    checkpoints: Place,
) -> xr.Dataset:
    """Fits the SVM and trains the net on one fresh sample a seed.

    C and gamma are those of least validation error, of machines fitted on the first
    ``selection_examples`` of the training examples; a last machine is fitted on all of them.
    ``svm_gamma`` counts in 1 / (inputs Var[x]), x the pixels of the training examples. The net's
    learning rate and its update to stop at are those of least validation error over the whole
    sweep. Ties go to the first.

    Each seed's SVM is kept in ``checkpoints/svm-<seed>.npz`` when it is done and its nets in
    ``checkpoints/net-<seed>``: a run started again goes on from there, with the same values.

    Raises:
      CheckpointError: a file there can't be written, has changed, or belongs to another run.
    """
    samples = [
        _draw(settings, named(key, "sample", seed), pixel_range) for seed in range(settings.seeds)
    ]
    times = schedule(
        updates=settings.updates,
        points=settings.points,
        block_size=settings.block_size,
        batch_size=settings.batch_size,
    )
    machines = _machines(settings, samples, checkpoints)
    courses = _courses(settings, samples, times, key, checkpoints)
    rates = np.asarray(settings.learning_rates, np.float32)
    nets = [_chosen_net(course, rates, times.updates) for course in courses]
    by_seed = [machine | net for machine, net in zip(machines, nets, strict=True)]
    data = {
        name: labelled(name, _DIMS.get(name, ("seed",)), np.stack([each[name] for each in by_seed]))
        for name in by_seed[0]
    }
    coords = {
        "seed": np.arange(settings.seeds),
        "c": np.asarray(settings.svm_c, np.float64),
        "gamma": np.asarray(settings.svm_gamma, np.float64),
        "learning_rate": rates,
        "update": times.updates,
    }
    attrs = {
        **{name: settings[name] for name in (*_SIZES, "width", "updates", "batch_size")},
        "selection_examples": min(settings.selection_examples, settings.training_examples),
        "depth": PAPER_DEPTH,
    }
    return xr.Dataset(data, coords, attrs)


def _draw(settings: ConfigDict, key: jax.Array, pixel_range: tuple[float, float]) -> Sample:
    ends = np.cumsum([settings[name] for name in _SIZES]).tolist()
    # One draw for all: another number of images would be another program to compile.
    x, y = shapeset.sample(key, ends[-1], pixel_range=pixel_range)
    cuts = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    return Sample(*(Batch(x[cut], y[cut]) for cut in cuts))


def _machines(settings: ConfigDict, samples: Sequence[Sample], checkpoints: Place) -> list[Arrays]:
    """Each sample's SVM, from its file if it was fitted before."""
    files = [checkpoints.folder / f"svm-{seed}.npz" for seed in range(len(samples))]
    fits = len(settings.svm_c) * len(settings.svm_gamma) + 1
    done = fits * processes.first(lambda: sum(file.exists() for file in files))
    machines = []
    with progress("Shapeset samples, RBF SVM", fits * len(files), "fits", done=done) as bar:
        for file, sample in zip(files, samples, strict=True):
            identity = checkpoints.inside(file.stem).identity

            def made(
                file: Path = file, sample: Sample = sample, identity: Mapping = identity
            ) -> Arrays:
                if not file.exists():
                    checkpoint.write(file, _machine(settings, sample, bar), identity=identity)
                return checkpoint.read(file, identity=identity)

            machines.append(processes.first(made))
    return machines


def _machine(settings: ConfigDict, sample: Sample, bar: Progress) -> Arrays:
    """The SVM of the chosen C and gamma, and how they were chosen."""
    (x, y), validation, test = (tuple(map(np.asarray, batch)) for batch in sample)
    unit = 1 / (x.shape[1] * x.var(dtype=np.float64))

    def fit(examples: int, c: float, gamma: float) -> svm.Machine:
        return svm.fit(x[:examples], y[:examples], c=c, gamma=gamma * unit)

    def validation_error(choice: tuple[float, float]) -> float:
        return svm.error(fit(settings.selection_examples, *choice), *validation)

    found = []
    # libsvm leaves the interpreter free.
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, AT_ONCE))
    try:
        for one in pool.map(validation_error, product(settings.svm_c, settings.svm_gamma)):
            found.append(one)
            bar.advance(1)
    finally:
        pool.shutdown(cancel_futures=True)
    errors = np.reshape(found, (len(settings.svm_c), len(settings.svm_gamma)))
    best = _least(errors)
    c, gamma = settings.svm_c[best[0]], settings.svm_gamma[best[1]]
    chosen = fit(len(y), c, gamma)
    bar.advance(1)
    return {
        "svm_validation_error": errors,
        "svm_chosen_c": np.asarray(c, np.float64),
        "svm_chosen_gamma": np.asarray(gamma, np.float64),
        "svm_test_error": np.asarray(svm.error(chosen, *test)),
        "svm_support_vectors": np.asarray(chosen.support_vectors),
    }


def _courses(
    settings: ConfigDict,
    samples: Sequence[Sample],
    times: Schedule,
    key: jax.Array,
    checkpoints: Place,
) -> list[Arrays]:
    """What each sample's nets were measured at: name -> [points + 1, learning_rate]."""
    model = MLP((settings.width,) * PAPER_DEPTH, len(shapeset.CLASS_NAMES), tanh, normalized())
    mesh, rates = ensembles.member_mesh(), settings.learning_rates
    # The program takes the examples as an argument, so one stream and program serve every sample.
    stream = finite_stream(samples[0].train, block_size=settings.block_size)
    advance = ensembles.make_advance(
        train=make_sgd(model, cross_entropy),
        probe=_make_probe(model),
        stream=stream,
        batch_size=settings.batch_size,
        mesh=mesh,
    )

    def course(seed: int, sample: Sample) -> Arrays:
        seeds = [seed] * len(rates)
        params = init(model, named(key, "weights", seed), sample.train.x.shape[1])
        members = [ensembles.fresh_member(params, rate, optax.sgd) for rate in rates]
        _, history = train(
            f"Shapeset sample {seed}, tanh N",
            advance,
            ensembles.create(members, seeds, stream=stream, key=key, mesh=mesh),
            seeds=seeds,
            mesh=mesh,
            arrays=sample.train,
            sets=sample,
            schedule=times,
            checkpoints=checkpoints.inside(f"net-{seed}", rates=list(rates)),
        )
        return history

    return [course(seed, sample) for seed, sample in enumerate(samples)]


def _make_probe(model: MLP) -> Callable[[Params, Sample], dict[str, jax.Array]]:
    def probe(params: Params, sample: Sample) -> dict[str, jax.Array]:
        return {
            name: loop.error_rate(logits(model, params, batch.x), batch.y)
            for name, batch in (("validation", sample.validation), ("test", sample.test))
        }

    return probe


def _chosen_net(course: Arrays, rates: np.ndarray, updates: np.ndarray) -> Arrays:
    """The net at the learning rate and update of least validation error, and all of them."""
    validation, test = course["validation"].T, course["test"].T
    best = _least(validation)
    return {
        "net_validation_error": validation,
        "net_test_error_course": test,
        "net_chosen_learning_rate": rates[best[0]],
        "net_chosen_update": updates[best[1]],
        "net_test_error": test[best],
    }


def _least(errors: np.ndarray) -> tuple[np.intp, ...]:
    """Index of the least entry, the first of several."""
    return np.unravel_index(np.argmin(errors), errors.shape)
