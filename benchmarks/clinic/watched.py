"""Healthy models of the clinic under a watch: trained as they are meant to be, and too fast.

    python -m benchmarks.clinic.watched [--only NAME ...] [--faster 100]

A run of a healthy model as its case trains it has to be without a finding but for notes; the same
run at ``--faster`` times the learning rate has to have one where the cost ends above the other's.
"""

import argparse
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import glorot_jax as gj
from benchmarks.clinic.cases import chosen_cases
from benchmarks.clinic.evidence import BATCH, OPTIMIZERS, WORSE
from benchmarks.clinic.kit import HEALTHY, Model, Training
from glorot_jax.diagnosis.judging.finding import NOTE, Finding

# Of each room one or two, of several libraries.
CASES = (
    *("encoder_pre_norm", "decoder_gpt_scan_remat", "vision_transformer_zero_head"),
    *("tanh_14_critical", "relu_10_he", "residual_60_fixup", "variational_autoencoder"),
    *("wine_standardised", "logits_plain", "gru_12_steps", "graph_layers_2"),
    *("convolutions_batch_norm", "mixer_zero_head", "head_of_zeros"),
)
EVERY = 10


class Run(NamedTuple):
    """A run's findings, and its mean cost at the start and at the end."""

    findings: tuple[Finding, ...]
    start: float
    end: float

    @property
    def flagged(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity != NOTE]


def watched(model: Model, training: Training, *, faster: float = 1.0) -> Run:
    """Trains as the clinic's evidence does, on the same mini-batches."""
    optimizer = OPTIMIZERS[training.optimizer](faster * training.rate)
    watch = gj.watch(model.apply_fn, optimizer, loss=model.loss, every=EVERY)
    kept = jax.tree.map(lambda leaf: leaf[:BATCH], (model.x, model.y))

    def mean_cost(params: Any, x: Any, y: Any) -> jax.Array:
        return jnp.mean(model.loss(model.apply_fn(params, x), y).astype(jnp.float32))

    @jax.jit
    def update(params: Any, opt_state: Any, state: Any, x: Any, y: Any) -> tuple[Any, ...]:
        cost, grads = jax.value_and_grad(mean_cost)(params, x, y)
        grads = jax.tree.map(jnp.conj, grads)
        state, seen = watch(state, params, grads, kept, opt_state=opt_state, cost=cost)
        steps, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, steps), opt_state, state, seen

    params, rng = model.params, np.random.default_rng(0)
    x, y = jax.tree.map(np.asarray, (model.x, model.y))
    size = len(jax.tree.leaves(x)[0])
    opt_state, state, history = optimizer.init(params), watch.init(params), []
    start = float(mean_cost(params, *kept))
    for count in range(training.steps):
        rows = rng.permutation(size)[:BATCH]
        batch = jax.tree.map(lambda leaf, rows=rows: leaf[rows], (x, y))
        params, opt_state, state, seen = update(params, opt_state, state, *batch)
        if watch.due(count):
            history.append((count, seen))
    return Run(watch.findings(history), start, float(mean_cost(params, *kept)))


def in_words(run: Run) -> str:
    """What is said of a run, the notes in brackets."""
    notes = [finding.kind for finding in run.findings if finding.severity == NOTE]
    said = [f"{finding.severity} {finding.kind}" for finding in run.flagged]
    return ", ".join([*said, *(f"({kind})" for kind in notes)]) or "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", default=CASES, help="these cases")
    parser.add_argument("--faster", type=float, default=100.0, help="times the learning rate")
    args = parser.parse_args()
    print(f"| case | cost | findings | cost, {args.faster:g} times the rate | findings |")
    print("| --- | ---: | --- | ---: | --- |", flush=True)
    false_alarms, sick, missed = [], [], []
    for case in chosen_cases(list(args.only)):
        if case.truth != HEALTHY:
            parser.error(f"--only: {case.name} is not a healthy case")
        as_meant, fast = (
            watched(case.build(), case.training, faster=faster) for faster in (1.0, args.faster)
        )
        costs = [f"{run.start:.3g} -> {run.end:.3g}" for run in (as_meant, fast)]
        cells = (case.name, costs[0], in_words(as_meant), costs[1], in_words(fast))
        print(f"| {' | '.join(cells)} |", flush=True)
        false_alarms += [case.name] if as_meant.flagged else []
        if not fast.end <= WORSE * as_meant.end:  # NaN is sick
            sick.append(case.name)
            missed += [] if fast.flagged else [case.name]
    print(
        f"\n{len(args.only)} healthy runs, {len(false_alarms)} with a finding "
        f"({', '.join(false_alarms) or 'none'}); {len(sick)} sick ones, {len(missed)} without one "
        f"({', '.join(missed) or 'none'})"
    )


if __name__ == "__main__":
    main()
