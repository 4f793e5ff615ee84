"""A claim leads to the code that decides it and to a command that measures it again."""

import functools
import json
import shlex

import pytest

from experiments.claims import CLAIMS, OUR_CLAIMS
from experiments.configs import base
from experiments.networks import read
from experiments.report.rerun import ROOT, SOURCE, command, config_of, predicate, source
from experiments.results import schema
from tests.experiments import made_up


def _run_of(**attributes):
    return made_up.with_attrs(made_up.results(surface=made_up.surface_part()), **attributes)


@pytest.mark.parametrize("claim", [*CLAIMS, *OUR_CLAIMS], ids=lambda claim: claim.id)
def test_the_address_is_the_line_of_the_predicate(claim):
    path, _, line = source(claim).removeprefix(f"{SOURCE}/").partition("#L")
    code = (ROOT / path).read_text(encoding="utf-8").splitlines()
    wanted = predicate(claim.test).__name__
    assert wanted != claim.test.__name__ or claim.test is predicate(claim.test)
    assert code[int(line) - 1].startswith(f"def {wanted}(")
    assert path.startswith("experiments/claims/")


def test_a_predicate_is_found_inside_closures_and_partials():
    def inner(x):
        return x

    def wrapping(test):
        return lambda results: test(results)

    assert predicate(wrapping(functools.partial(wrapping(inner)))) is inner


def _as_measured(config, whole):
    """What a run of ``config`` would leave of the results ``whole``."""
    groups = {}
    for stage in config.stages:
        group = schema.find_group(whole, "shapeset" if stage == "online" else stage)
        specs = read(group) if "condition" in group.dims else []
        keep = [i for i, spec in enumerate(specs) if _runs(config, stage, spec)]
        name = "shapeset" if stage == "online" else stage
        groups[name] = group.isel(condition=keep) if specs else group
    return made_up.results(**groups)


def _runs(config, stage, spec):
    if stage == "initial":
        start = config.initial
        return spec.activation in start.activations and spec.scheme in start.initializers
    return stage != "online" or spec.text in config.online.conditions


def test_the_config_measures_what_the_claim_is_judged_by():
    whole = made_up.results()
    runs = {
        name: _as_measured(base.named(name, "paper"), whole)
        for name in {config_of(claim) for claim in (*CLAIMS, *OUR_CLAIMS)}
    }
    lost = [
        claim.id
        for claim in (*CLAIMS, *OUR_CLAIMS)
        if claim.test(whole).status != "not tested"
        and claim.test(runs[config_of(claim)]).status == "not tested"
    ]
    assert not lost


def test_a_command_repeats_the_preset_and_what_was_changed():
    online = {"updates": 7, "learning_rates": [0.1], "conditions": ["tanh standard", "x"]}
    config = {"name": "paper", "online": online}
    results = _run_of(
        preset="paper",
        config=json.dumps(config),
        changed_from_preset='["online.updates", "online.learning_rates", "online.conditions"]',
    )
    claim = next(claim for claim in CLAIMS if claim.id == "fig11-order")
    assert shlex.split(command(results, claim)) == [
        "python",
        "-m",
        "experiments.launch",
        "--config=fig11:paper",
        "--config.online.updates=7",
        "--config.online.learning_rates=(0.1,)",
        '--config.online.conditions=("tanh standard", "x",)',
        "--workdir=results/fig11",
    ]


def test_a_run_of_another_config_is_repeated_as_a_whole():
    results = _run_of(preset="short", config='{"name": "long"}')
    assert "--config=long:short --workdir=results/long" in command(results, CLAIMS[0])


def test_results_that_say_nothing_are_run_again_quickly():
    assert f"--config={CLAIMS[0].figure}:quick" in command(_run_of(), CLAIMS[0])
