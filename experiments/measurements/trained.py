"""Groups of trained networks (Figs. 2-4, 9-12, Table 1 and the studies): each grid as ensembles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import jax
import numpy as np
import xarray as xr
from ml_collections import ConfigDict

from experiments.ahead import Ahead
from experiments.checkpoint import Place
from experiments.measurements import pretrained
from experiments.measurements.selected import BLOWN_UP, at_the_end, choose_depth, select
from experiments.networks import (
    DENOISING,
    SCHEME_EXAMPLES,
    WHITENED,
    NetworkSpec,
    coordinates,
    parse,
)
from experiments.results.schema import labelled
from experiments.training import Schedule, schedule, train
from glorot_jax.activations import resolve
from glorot_jax.data.stream import Batch, Task
from glorot_jax.data.whitening import whitened
from glorot_jax.initialization import DATA_DEPENDENT, draw
from glorot_jax.keys import named
from glorot_jax.losses import LOSSES
from glorot_jax.network import MLP, Params, init, logits
from glorot_jax.probes import QUANTILES
from glorot_jax.probes.activations import ACTIVATION_RANGE
from glorot_jax.training import ensemble as ensembles
from glorot_jax.training import loop
from glorot_jax.training.optimizers import OPTIMIZERS, make_train
from glorot_jax.training.update import Member

GRID = ("condition", "learning_rate", "seed")
OF_EVERY_MEMBER = ("validation_error", "test_error", "test_cost")
WRONG = "test_wrong"


@dataclass(frozen=True)
class Program:
    """Networks that one compiled program can hold: they differ in their scheme."""

    name: str
    model: MLP
    optimizer: str
    loss: str
    pixels: str
    conditions: tuple[NetworkSpec, ...]


@dataclass(frozen=True)
class Setting:
    """What every program of one group of the results shares."""

    settings: ConfigDict
    task: Task
    sets: loop.HeldOut
    schedule: Schedule
    key: jax.Array
    checkpoints: Place

    def given(self, pixels: str) -> "Setting":
        """The same for networks whose inputs are one of ``PIXELS``."""
        if pixels != WHITENED:
            return self
        task = whitened(self.task, named(self.key, "whitening"))
        return replace(self, task=task, sets=_held_out(self.settings, task))


def measure(settings: ConfigDict, task: Task, *, key: jax.Array, checkpoints: Place) -> xr.Dataset:
    """Trains every condition x learning rate x seed of ``settings`` on ``task``.

    Checkpoints go to ``checkpoints/<program>``; a program found there goes on where it stopped.
    """
    shared = Setting(
        settings,
        task,
        _held_out(settings, task),
        schedule(
            updates=settings.updates,
            points=settings.points,
            block_size=settings.block_size,
            batch_size=settings.batch_size,
            spacing=settings.spacing,
        ),
        key,
        checkpoints.about(dataset=task.name),
    )
    networks = conditions(settings, field="conditions")
    histories: dict[NetworkSpec, dict[str, np.ndarray]] = {}
    seen = cache(shared.given)
    runs = [
        _run(program, seen(program.pixels))
        for program in programs(networks, settings, classes=len(task.class_names))
    ]
    with Ahead([run.compile for run in runs]) as ahead:
        for index, run in enumerate(runs):
            histories |= _train(run, partial(ahead.wait, index))
    return _dataset(histories, networks, shared)


def _held_out(settings: ConfigDict, task: Task) -> loop.HeldOut:
    # The stand-in for a finite set can be smaller than the set that the config asks for.
    return loop.held_out(task, probe_examples=min(settings.probe_examples, len(task.test.y)))


def conditions(settings: ConfigDict, *, field: str) -> list[NetworkSpec]:
    """The conditions that ``settings`` name, each with every depth of ``depths`` if there are any.

    Raises:
      ConfigError: one can't be read; ``field`` is where the config names it.
    """
    networks = [parse(text, field=field, loss=settings.loss) for text in settings.conditions]
    if not settings.depths:
        return networks
    return [network.replace(depth=depth) for network in networks for depth in settings.depths]


def programs(
    networks: Sequence[NetworkSpec], settings: ConfigDict, *, classes: int
) -> list[Program]:
    """Networks grouped by what makes another program: all but the scheme."""

    def kind(condition: NetworkSpec) -> NetworkSpec:
        return condition.replace(scheme="")

    made = []
    for shared in dict.fromkeys(map(kind, networks)):
        widths = tuple(settings.widths) or shared.widths(settings.width)
        model = MLP(widths, classes, resolve(shared.activation))
        # The whole path: two activations of one name are two programs.
        activation = shared.activation.replace(":", "~")
        name = "-".join([activation, str(shared.depth), *shared.unusual.values()])
        members = tuple(condition for condition in networks if kind(condition) == shared)
        made.append(Program(name, model, shared.optimizer, shared.loss, shared.pixels, members))
    return made


def learning_rates(settings: ConfigDict, network: NetworkSpec) -> tuple[float, ...]:
    """The rates tried with ``network``: its own if it has any, or its optimizer's, or all's."""
    of_optimizer = settings.optimizer_learning_rates.get(network.optimizer, settings.learning_rates)
    return tuple(settings.network_learning_rates.get(network.text, of_optimizer))


@dataclass(frozen=True)
class _Run:
    """A program with its members, (seed, condition, learning rate) each, and what trains them."""

    program: Program
    shared: Setting
    members: tuple[tuple[int, NetworkSpec, float], ...]
    advance: ensembles.Advance

    @property
    def seeds(self) -> list[int]:
        """Of every member."""
        return [seed for seed, *_ in self.members]

    def fresh(self, params: Params, learning_rate: float) -> Member:
        """A member that starts from ``params``."""
        make = OPTIMIZERS[self.program.optimizer].make
        return ensembles.fresh_member(params, learning_rate, make)

    def compile(self) -> None:
        """Compiles what training runs, by the shapes alone."""
        task, mesh, model = self.shared.task, self.advance.mesh, self.program.model

        def member(key: jax.Array) -> Member:
            return self.fresh(init(model, key, task.test.x.shape[1]), 0.0)

        of_one = jax.eval_shape(member, jax.random.key(0))
        self.advance.compile(
            ensembles.shapes(of_one, self.seeds, stream=task.train, mesh=mesh),
            ensembles.shapes_on_every_device(task.train.arrays, mesh),
            ensembles.shapes_on_every_device(self.shared.sets, mesh),
        )


def _run(program: Program, shared: Setting) -> _Run:
    settings, loss = shared.settings, LOSSES[program.loss]
    # Seed first, so that members which share a stream sit side by side on a device.
    members = tuple(
        (seed, condition, rate)
        for seed in range(settings.seeds)
        for condition in program.conditions
        for rate in learning_rates(settings, condition)
    )
    advance = ensembles.make_advance(
        train=make_train(program.optimizer, program.model, loss),
        probe=loop.make_probe(program.model, loss, bins=settings.bins),
        stream=shared.task.train,
        batch_size=settings.batch_size,
        mesh=ensembles.member_mesh(),
    )
    return _Run(program, shared, members, advance)


def _train(run: _Run, compiled: Callable[[], object]) -> dict[NetworkSpec, dict[str, np.ndarray]]:
    """One history a condition: name -> [learning_rate, seed, point, ...]."""
    program, shared, mesh = run.program, run.shared, run.advance.mesh
    settings, task = shared.settings, shared.task
    initialised = {c: _initialise(program, c, shared) for c in program.conditions}
    ensemble = ensembles.create(
        [
            run.fresh(initialised[condition].params[seed], rate)
            for seed, condition, rate in run.members
        ],
        run.seeds,
        stream=task.train,
        key=shared.key,
        mesh=mesh,
    )
    trained, history = train(
        f"{shared.checkpoints.folder.name} {program.name}",
        run.advance,
        ensemble,
        seeds=run.seeds,
        mesh=mesh,
        arrays=task.train.arrays,
        sets=shared.sets,
        schedule=shared.schedule,
        checkpoints=shared.checkpoints.inside(
            program.name,
            members=[[seed, condition.text, rate] for seed, condition, rate in run.members],
        ),
        compiled=compiled,
    )

    at_end = ensembles.without_padding(trained, run.seeds, mesh=mesh).members.params
    history[WRONG] = _wrong(program.model, at_end, task.test)[None]

    def of_condition(values: np.ndarray, condition: NetworkSpec) -> np.ndarray:
        members = [place for place, (_, other, _) in enumerate(run.members) if other == condition]
        values = values[:, members].reshape(len(values), settings.seeds, -1, *values.shape[2:])
        return np.moveaxis(values, (2, 1, 0), (0, 1, 2))

    return {
        condition: {name: of_condition(values, condition) for name, values in history.items()}
        | dict(initialised[condition].measured)
        for condition in program.conditions
    }


def _wrong(model: MLP, params: Params, test: Batch) -> np.ndarray:
    """Which test examples each member of stacked ``params`` gets wrong, [member, example]."""
    members = len(jax.tree.leaves(params)[0])
    each = [jax.tree.map(lambda leaf, i=i: leaf[i], params) for i in range(members)]
    # Not compiled: it is done once, and would take longer to compile than to run.
    return np.stack([np.asarray(loop.wrong(logits(model, p, test.x), test.y)) for p in each])


@dataclass(frozen=True)
class _Initialised:
    """The networks of a condition, one for each seed, and what was measured on the way."""

    params: Sequence[Params]
    measured: Mapping[str, np.ndarray]


def _initialise(program: Program, condition: NetworkSpec, shared: Setting) -> _Initialised:
    task, seeds = shared.task, range(shared.settings.seeds)
    keys = [named(shared.key, "weights", seed) for seed in seeds]
    if condition.scheme == DENOISING:
        result = pretrained.pretrain(
            program.model,
            shared.settings.pretraining,
            task,
            shared.sets,
            keys=keys,
            stream_key=named(shared.key, "pre-training"),
            title=f"{shared.checkpoints.folder.name} {program.name}",
            checkpoints=shared.checkpoints.inside(f"{program.name}-pretraining"),
            batch_size=shared.settings.batch_size,
        )
        return _Initialised(result.params, {pretrained.COST: result.reconstruction_cost})
    x = task.validation.x
    if condition.scheme in DATA_DEPENDENT:
        _, block = jax.jit(task.train.next)(
            task.train.arrays, task.train.init(named(shared.key, "initialization examples"))
        )
        x = block.x[:SCHEME_EXAMPLES]
    begin = partial(draw, condition.scheme, program.model)
    return _Initialised([begin(key, x) for key in keys], {})


def _dataset(
    histories: Mapping[NetworkSpec, dict[str, np.ndarray]],
    networks: Sequence[NetworkSpec],
    shared: Setting,
) -> xr.Dataset:
    settings, task = shared.settings, shared.task
    per_condition = {c: learning_rates(settings, c) for c in networks}
    rates = np.unique(np.array([r for rates in per_condition.values() for r in rates], np.float32))
    places = [np.searchsorted(rates, np.asarray(per_condition[c], np.float32)) for c in networks]

    def on_all_rates(name: str) -> np.ndarray:
        """[condition, learning_rate, seed, ...] of all conditions; NaN at rates not tried."""
        rows = []
        for condition, place in zip(networks, places, strict=True):
            values = histories[condition][name]
            row = np.full((len(rates), *values.shape[1:]), np.nan, np.float32)
            row[place] = values
            rows.append(row)
        return np.stack(rows)

    finite = on_all_rates("finite") != 0  # NaN, a rate not tried, has not diverged
    updates = shared.schedule.updates
    cost = on_all_rates("test_cost")
    selection = select(
        at_the_end(on_all_rates("validation_error"), updates),
        ~finite.all(axis=3),
        blown_up=at_the_end(cost, updates) > BLOWN_UP * cost[..., 0],
        guessing=1 - np.bincount(np.asarray(task.validation.y)).max() / len(task.validation.y),
    )
    chosen = selection.chosen
    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        "diverged_at": (
            GRID,
            np.where(finite.all(axis=3), np.nan, updates[np.argmin(finite, axis=3)]),
        ),
        "selection_error": (GRID[:2], selection.error),
        "chosen_learning_rate": (GRID[:1], np.where(chosen >= 0, rates[chosen], np.nan)),
        "selection_margin": (GRID[:1], selection.margin),
    }
    for name in OF_EVERY_MEMBER:
        variables[name] = ((*GRID, "update"), on_all_rates(name))
    final = np.stack([variables["test_error"][1][c, i, :, -1] for c, i in enumerate(chosen)])
    variables["final_test_error"] = (
        ("condition", "seed"),
        np.where(chosen[:, None] >= 0, final, np.nan),
    )
    at_own_rates = [
        int(np.flatnonzero(place == index)[0]) if index >= 0 else -1
        for place, index in zip(places, chosen, strict=True)
    ]
    in_order = [histories[condition] for condition in networks]
    variables["final_test_wrong"] = (
        ("condition", "seed", "example"),
        np.stack([h[WRONG][i, :, 0] for h, i in zip(in_order, at_own_rates, strict=True)]),
    )
    classes = np.asarray(task.test.y)
    variables["test_class_count"] = (
        ("class",),
        np.bincount(classes, minlength=len(task.class_names)).astype(np.int64),
    )
    variables |= _probe_variables(in_order, np.array(at_own_rates))
    variables |= _reconstruction(in_order, depth=max(c.depth for c in networks))
    coords = {
        "condition": [c.name for c in networks],
        **coordinates(networks),
        "learning_rate": rates,
        "seed": np.arange(settings.seeds),
        "update": updates,
        "layer": np.arange(1, max(c.depth for c in networks) + 1),
        "quantile": list(QUANTILES),
        "activation_bin_edge": (
            "edge",
            np.linspace(*ACTIVATION_RANGE, settings.bins + 1, dtype=np.float32),
        ),
    }
    if pretrained.COST in variables:
        points = pretrained.schedule_of(settings.pretraining, task, settings.batch_size).updates
        coords["pretraining_update"] = ("pretraining_point", points)
    attrs = {
        "dataset": task.name,
        "origin": task.origin,
        "class_names": list(task.class_names),
        "inputs": task.test.x.shape[1],
        "classes": len(task.class_names),
        "batch_size": settings.batch_size,
        "width": settings.width,
        "loss": settings.loss,
        "validation_examples": len(task.validation.y),
        "test_examples": len(task.test.y),
        "probe_examples": len(shared.sets.probe.y),
    }
    if isinstance(task.train.arrays, Batch):  # a finite set; others are drawn without end
        attrs["training_examples"] = len(task.train.arrays.y)
    data = {name: labelled(name, dims, values) for name, (dims, values) in variables.items()}
    made = xr.Dataset(data, coords, attrs)
    return choose_depth(made) if settings.depths else made


def _probe_variables(
    histories: Sequence[Mapping[str, np.ndarray]], chosen: np.ndarray
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """What the probes saw in the members at the chosen rate; NaN above a condition's depth."""
    of_layers = ("activation_", "backprop_", "weight_gradient_")
    names = [name for name in histories[0] if name.startswith((*of_layers, "output_"))]
    depth = max(history["activation_mean"].shape[3] for history in histories)
    variables = {}
    for name in names:
        rows = []
        for history, index in zip(histories, chosen, strict=True):
            values = history[name][index]
            if name.startswith(of_layers):
                missing = [(0, 0)] * values.ndim
                missing[2] = (0, depth - values.shape[2])
                values = np.pad(values, missing, constant_values=np.nan)
            rows.append(values if index >= 0 else np.full_like(values, np.nan))
        layer = ("layer",) if name.startswith(of_layers) else ()
        last = {"quantile": ("quantile",), "histogram": ("bin",)}.get(name.rsplit("_", 1)[-1], ())
        variables[name] = (("condition", "seed", "update", *layer, *last), np.stack(rows))
    return variables


def _reconstruction(
    histories: Sequence[Mapping[str, np.ndarray]], *, depth: int
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Reconstruction cost of the conditions that were pre-trained, if any; NaN for the others."""
    known = [h[pretrained.COST] for h in histories if pretrained.COST in h]
    if not known:
        return {}
    seeds, _, points = known[0].shape
    rows = np.full((len(histories), seeds, depth, points), np.nan, np.float32)
    for row, history in zip(rows, histories, strict=True):
        if pretrained.COST in history:
            values = history[pretrained.COST]
            row[:, : values.shape[1]] = values
    return {pretrained.COST: (("condition", "seed", "layer", "pretraining_point"), rows)}
