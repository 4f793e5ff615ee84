"""Rules on made-up evidence: each speaks when it should, of what it rests on, and not otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from glorot_jax.diagnosis.judging.evidence import (
    Chain,
    Evidence,
    Input,
    Leaf,
    Output,
    Softmax,
)
from glorot_jax.diagnosis.judging.finding import without_ignored
from glorot_jax.diagnosis.judging.seen import what_is_seen
from glorot_jax.diagnosis.judging.verdict import judge, judge_all
from glorot_jax.diagnosis.measuring.costs import Answers
from glorot_jax.diagnosis.measuring.nonfinite import Beginning
from glorot_jax.diagnosis.tracing.graph import Route

SITES = 6
LAST = SITES - 1  # the outputs
LABELS = tuple(f"layer_{i}" for i in range(SITES))
ANSWERS = Answers(zero=2.3, constant=2.2, shift_free=True, targets=False, beyond=True)


def leaf(index, **given):
    usual = Leaf(
        LABELS[index], (4, 4), "float32", 2.0, 0.1, 0.1, False, Route(True, True), (LABELS[index],)
    )
    return replace(usual, **given)


def evidence(rows=(), sensitivity=None, **given):
    """A healthy net, with other rows and other facts."""
    healthy = {
        "z_mean_square": 1.0,
        "s_mean_square": 1.0,
        "saturated": 0.02,
        "dead": 0.0,
        "z_cosine": 0.3,
        "s_cosine": 0.3,
        "z_position_cosine": np.nan,
        "s_position_cosine": np.nan,
        "critical_gain": 1.7,
        "ds_norm": 1.0,
        "z_constant": 0.0,
    }
    values = {
        name: np.broadcast_to(np.asarray(dict(rows).get(name, usual), float), SITES)
        for name, usual in healthy.items()
    }
    profile = np.ones(SITES) if sensitivity is None else sensitivity
    usual = Evidence(
        labels=LABELS,
        names=LABELS,
        fan_in=np.full(SITES, 20),
        kinds=("dense",) * SITES,
        heads=np.arange(SITES) == LAST,
        first=np.arange(SITES) == 0,
        two_sided=np.ones(SITES, bool),
        has_activation=np.arange(SITES) < LAST,
        of_time=np.zeros(SITES, bool),
        rows=values,
        leaves=tuple(leaf(i) for i in range(SITES)),
        chains=(Chain(LABELS, np.ones(SITES), profile),),
        outputs=(Output("outputs", "add", 0.0, 1.0, -3.0, 3.0),),
        inputs=(Input("x", (50, 3), np.zeros(3), np.ones(3)),),
        softmaxes=(),
        cost=2.5,
        answers=ANSWERS,
        examples=50,
    )
    return replace(usual, **given)


def kinds(made):
    return {finding.kind: finding.severity for finding in made}


def by_layer(first, last):
    """Hidden values in equal ratios from layer 1 on, 1 at the input and at the outputs."""
    return np.concatenate([[1.0], np.geomspace(first, last, SITES - 2), [1.0]])


def test_a_healthy_net_has_no_finding():
    assert judge(evidence()) == ()


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (1 / 20, {}),
        (20.0, {}),
        (1 / 100, {"vanishing": "warning"}),
        (1e-3, {"vanishing": "severe"}),
        (100.0, {"exploding": "warning"}),
        (1e3, {"exploding": "severe"}),
    ],
)
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_signals_that_vanish_or_explode(way, ratio, expected):
    if way == "forward":
        profile = np.concatenate([[1.0], np.geomspace(1, ratio, SITES - 1)])
        made = judge(evidence({"z_mean_square": profile**2}))
    else:
        profile = np.concatenate([np.geomspace(ratio, 1, SITES - 1), [1.0]])
        made = judge(evidence(sensitivity=profile))
    assert kinds(made) == {f"{kind} {way}": severity for kind, severity in expected.items()}
    for finding in made:
        assert finding.value == pytest.approx(ratio)
        rate = ratio ** (1 / (SITES - 2))
        assert f"a factor of {rate:.3g} a layer" in finding.text
        assert "by 1.7:" in finding.cure


def test_one_odd_station_is_no_trend():
    odd = np.array([1.0, 1, 1e-4, 1, 1, 1])
    assert judge(evidence({"z_mean_square": odd**2})) == ()
    assert judge(evidence(sensitivity=odd)) == ()


STEPS = 10


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (1e-4, {}),
        (100.0, {}),
        (1e-9, {"vanishing over time": "warning"}),
        (1e4, {"exploding over time": "severe"}),
    ],
)
def test_a_state_may_forget_but_not_all_and_never_explode(first, expected):
    labels = tuple(f"cell[{step}]" for step in range(STEPS))
    flat = {name: np.ones(STEPS) for name in evidence().rows}
    flat |= {name: np.zeros(STEPS) for name in ("saturated", "dead")}
    made = evidence(
        labels=labels,
        names=("cell",) * STEPS,
        fan_in=np.full(STEPS, 20),
        kinds=("dense",) * STEPS,
        of_time=np.ones(STEPS, bool),
        chains=(),
        **{name: np.zeros(STEPS, bool) for name in ("heads", "first", "two_sided")},
    )
    made = replace(made, rows=flat | {"ds_norm": np.geomspace(first, 1, STEPS)})
    assert kinds(judge(made)) == expected


@pytest.mark.parametrize(("share", "severity"), [(0.2, None), (0.5, "warning"), (0.8, "severe")])
def test_saturated_units(share, severity):
    values = np.zeros(SITES)
    values[2] = share
    made = judge(evidence({"saturated": values}))
    assert kinds(made) == ({} if severity is None else {"saturation": severity})
    assert judge(evidence({"saturated": values}, two_sided=np.zeros(SITES, bool))) == ()
    if made:
        assert made[0].sites == ("layer_2",)
        assert f"{share:.0%}" in made[0].text


@pytest.mark.parametrize(("share", "severity"), [(0.5, None), (0.8, "warning"), (1.0, "severe")])
def test_dead_units_begin_at_the_first(share, severity):
    values = np.zeros(SITES)
    values[[2, 4]] = share
    made = judge(evidence({"dead": values}))
    assert kinds(made) == ({} if severity is None else {"dead units": severity})
    if made:
        assert made[0].sites == ("layer_2", "layer_4")


def test_what_is_not_finite_comes_before_all_else():
    begin = Beginning("sqrt", "model.py:7", backward=True, at="0")
    leaves = tuple(leaf(i, gradient=np.nan if i == 1 else 0.1) for i in range(SITES))
    made = judge(evidence({"dead": 1.0}, beginning=begin, leaves=leaves))
    assert kinds(made) == {"nan gradient": "severe"}
    for words in ("sqrt at 0", "model.py:7", "layer_1"):
        assert words in made[0].text
    assert "where" in made[0].cure


CLOSED = {"gradient": 0.0, "opened": 0.0}


@pytest.mark.parametrize(
    ("given", "kind", "severity"),
    [
        ({"gradient": 0.0, "norm": 0.0}, "opens by itself", "note"),
        (
            CLOSED | {"route": Route(True, False, False, frozenset({"stop_gradient"}))},
            "frozen",
            "note",
        ),
        (CLOSED | {"route": Route()}, "unused", "note"),
        (
            CLOSED | {"route": Route(True, False, False, frozenset({"argmax"}))},
            "no gradient through a choice",
            "severe",
        ),
        (CLOSED | {"norm": 0.0}, "zero kernel that stays closed", "severe"),
        (CLOSED, "no gradient", "severe"),
        ({"alike": True}, "units all alike", "severe"),
        ({"dtype": "bfloat16"}, "bfloat16 parameters", "warning"),
    ],
)
def test_parameters_by_what_stands_in_their_way(given, kind, severity):
    leaves = tuple(leaf(i, **(given if i == 2 else {})) for i in range(SITES))
    made = judge(evidence(leaves=leaves))
    assert kinds(made) == {kind: severity}
    assert "layer_2" in made[0].text


def test_a_zero_kernel_is_the_cause_of_its_dead_units():
    leaves = tuple(
        leaf(i, **(CLOSED | {"norm": float(i != 2)} if i < 3 else {})) for i in range(SITES)
    )
    dead = np.array([0, 0, 1.0, 0, 0, 0])
    made = judge(evidence({"dead": dead}, leaves=leaves))
    assert kinds(made) == {"zero kernel that stays closed": "severe"}
    assert any("units of layer_2 are dead" in text for text in made[0].follows)


def test_dead_units_are_the_cause_of_what_gets_no_gradient():
    leaves = tuple(leaf(i, **(CLOSED if i < 3 else {})) for i in range(SITES))
    dead = np.array([0, 0, 1.0, 0, 0, 0])
    made = judge(evidence({"dead": dead}, leaves=leaves))
    assert kinds(made) == {"dead units": "severe"}
    assert any("get no gradient" in text for text in made[0].follows)


def test_inputs_are_named_where_they_do_harm_only():
    large = np.array([200.0, 1, 1, 1, 1, 1]) ** 2
    assert judge(evidence({"z_mean_square": large})) == ()
    saturated = np.array([0.95, 0, 0, 0, 0, 0])
    made = judge(evidence({"z_mean_square": large, "saturated": saturated}))
    assert kinds(made) == {"input scale": "severe"}
    assert "rms of 200" in made[0].text
    columns = (Input("x", (50, 3), np.array([0.0, 0, 900]), np.array([1.0, 1, 300])),)
    made = judge(evidence({"z_mean_square": large}, cost=300.0, inputs=columns))
    assert kinds(made) == {"input scale": "severe"}
    assert "column 2" in made[0].text


@pytest.mark.parametrize(("cost", "severity"), [(8.0, None), (12.0, "warning"), (40.0, "severe")])
def test_the_first_cost_beside_a_constant_answer(cost, severity):
    made = judge(evidence(cost=cost))
    assert kinds(made) == ({} if severity is None else {"first cost": severity})
    if made:
        assert f"{cost:.3g} where a constant answer costs 2.3" in made[0].text


def test_what_the_model_ends_in_and_the_loss_takes_again():
    simplex = (Output("outputs", "div", 0.1, 0.05, 0.0, 0.3, sums_to_one=True),)
    assert kinds(judge(evidence(outputs=simplex))) == {"softmax twice": "severe"}
    distance = replace(ANSWERS, shift_free=False)
    assert judge(evidence(outputs=simplex, answers=distance)) == ()
    sigmoid = (Output("outputs", "logistic", 0.5, 0.1, 0.1, 0.9),)
    assert kinds(judge(evidence(outputs=sigmoid))) == {"sigmoid twice": "severe"}
    assert judge(evidence(outputs=sigmoid, answers=replace(ANSWERS, beyond=False))) == ()
    shut = (Output("outputs", "relu", 0.1, 0.1, 0.0, 0.3, zeros=0.9),)
    assert kinds(judge(evidence(outputs=shut))) == {"relu on the outputs": "severe"}


def test_targets_far_from_what_a_net_gives():
    made = judge(evidence(targets=(500.0, 200.0), cost=3e5))
    assert kinds(made) == {"target scale": "severe"}
    assert any("loss starts at" in text for text in made[0].follows)
    assert judge(evidence(targets=(3.5, 1.0))) == ()


def test_attention_that_sees_one_token():
    attention = Softmax(("q", "k"), "attention", 16, 0.05, 80.0)
    made = judge(evidence(softmaxes=(attention,)))
    assert kinds(made) == {"attention one-hot": "severe"}
    assert made[0].sites == ("q", "k")
    gate = replace(attention, role="gate")
    assert judge(evidence(softmaxes=(gate, replace(attention, entropy=0.8)))) == ()
    single = Softmax(("head",), "output", 1, np.nan, 0.0)
    assert kinds(judge(evidence(softmaxes=(single,)))) == {"softmax over one value": "severe"}


def test_collapse_is_of_distances():
    alike = np.array([0.3, 0.9, 0.99, 0.999, 0.9995, 0.3])
    finding = judge(evidence({"s_cosine": alike}))[0]
    assert finding.kind == "rank collapse"
    assert finding.value == pytest.approx(np.sqrt((1 - 0.9995) / (1 - 0.3)))
    assert finding.severity == "warning"
    # Examples that came alike and stay as they are have not collapsed.
    assert judge(evidence({"s_cosine": 0.9999, "z_cosine": 0.9999})) == ()
    assert kinds(judge(evidence({"s_position_cosine": alike}))) == {"rank collapse": "warning"}


def test_causes_come_first_and_each_is_one_line():
    explodes = np.concatenate([[1.0], np.geomspace(1, 1e4, SITES - 1)]) ** 2
    made = judge(evidence({"z_mean_square": explodes, "saturated": 0.99}, cost=1e4))
    assert kinds(made) == {"exploding forward": "severe"}
    assert len(made[0].follows) == 2
    line = str(made[0])
    assert "\n" not in line
    assert "And so:" in line
    assert f"{made[0].threshold:.3g}: {made[0].source}" in line


def test_each_net_is_judged_by_itself():
    sick = evidence({"dead": np.array([0, 0, 1.0, 0, 0, 0])})
    made = judge_all([evidence()] * 3 + [sick] + [evidence()] * 4)
    assert kinds(made) == {"dead units": "severe"}
    assert made[0].text.startswith("in 1 of 8 nets (seed 3): ")
    assert "in all 2 nets" in judge_all([sick, sick])[0].text


def test_inputs_that_hardly_differ():
    made = judge(evidence({"z_cosine": [0.99999, 1, 1, 1, 1, 1], "s_cosine": 0.99999}))
    assert kinds(made) == {"inputs all alike": "severe"}
    # With one or two inputs all positive numbers point the same way.
    assert judge(evidence({"z_cosine": 1.0, "s_cosine": 0.3}, fan_in=np.full(SITES, 2))) == ()


def test_features_that_are_constant():
    made = judge(evidence({"z_constant": 0.5}))
    assert kinds(made) == {"constant features": "warning"}
    assert "50%" in made[0].text
    assert judge(evidence({"z_constant": [0.1, 1, 1, 1, 1, 1]})) == ()


def test_a_router_that_sends_all_to_one():
    gate = Softmax(("router",), "gate", 4, 0.1, 20.0, load=0.99)
    assert kinds(judge(evidence(softmaxes=(gate,)))) == {"router collapsed": "severe"}
    assert judge(evidence(softmaxes=(replace(gate, load=0.4),))) == ()


def test_an_overflow_that_something_later_hides():
    begin = Beginning("square", "model.py:3", backward=False)
    made = judge(evidence({"dead": 1.0}, overflow=begin))
    assert kinds(made) == {"float16 overflow": "severe"}
    assert "model.py:3" in made[0].text


def test_there_is_no_verdict_on_profiles_that_are_hardly_seen():
    profile = np.concatenate([np.geomspace(1e-3, 1, SITES - 1), [1.0]])
    hidden = tuple(leaf(i, unseen=1.0 if i < 5 else 0.0) for i in range(SITES))
    assert kinds(judge(evidence(sensitivity=profile))) == {"vanishing backward": "severe"}
    made = evidence({"dead": np.array([0, 0, 1.0, 0, 0, 0])}, profile, leaves=hidden)
    assert kinds(judge(made)) == {"dead units": "severe"}
    line, unseen = what_is_seen([made])
    assert line == "sees 1 of 6 kernels and 17% of the gradient: no verdict on how signals move"
    assert unseen[0] == "layer_0: 100% of its gradient comes by ways not seen"
    assert what_is_seen([evidence()]) == ("sees 6 of 6 kernels and 100% of the gradient", [])
    # One kernel can have nearly all of the gradient and tell nothing of the five others.
    large = (replace(hidden[0], unseen=0.0, gradient=100.0), *hidden[1:])
    large = tuple(replace(one, unseen=float(i > 0)) for i, one in enumerate(large))
    line, _ = what_is_seen([evidence(leaves=large)])
    assert line == "sees 1 of 6 kernels and 100% of the gradient: no verdict on the other kernels"


def test_what_is_on_purpose_is_left_out():
    made = judge(evidence({"dead": [0, 0, 1.0, 0, 1.0, 0]}))
    assert without_ignored(made, ()) == made
    assert without_ignored(made, ("dead units",)) == ()
    assert without_ignored(made, ("layer_*",)) == ()
    assert without_ignored(made, ("layer_2",))[0].sites == ("layer_4",)


def test_a_loss_without_slope_where_more_is_to_be_had():
    flat = replace(ANSWERS, least=-8.0, slope=1e-9)
    assert kinds(judge(evidence(answers=flat, cost=0.0))) == {"flat loss": "severe"}
    done = replace(ANSWERS, least=0.0, slope=1e-9)
    assert judge(evidence(answers=done, cost=0.0)) == ()


def test_outputs_and_labels_that_broadcasting_brings_together():
    mixes = replace(ANSWERS, mixes=True)
    made = judge(evidence(answers=mixes, shapes=((50, 1), (50,))))
    assert kinds(made) == {"loss of mixed shapes": "severe"}
    # A contrastive loss means to compare each with every other one.
    assert judge(evidence(answers=mixes)) == ()


def test_cosines_are_too_small_for_a_softmax():
    leaves = tuple(leaf(i, scale_free=True) for i in range(SITES))
    cosines = (Output("outputs", "div", 0.0, 0.2, -0.9, 0.9),)
    assert kinds(judge(evidence(leaves=leaves, outputs=cosines))) == {"logits too small": "severe"}
    scale = leaf(0, name="scale", shape=(), labels=())
    assert judge(evidence(leaves=(*leaves, scale), outputs=cosines)) == ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"step": 0.01}, {}),
        ({"step": 0.2}, {"update too large": "warning"}),
        ({"step": 3.0}, {"update too large": "severe"}),
        ({"dtype": "bfloat16", "step": 0.01, "unmoved": 0.8}, {"bfloat16 parameters": "severe"}),
        ({"dtype": "bfloat16", "step": 0.01, "unmoved": 0.01}, {}),
    ],
)
def test_the_first_update_of_an_optimiser(given, expected):
    leaves = tuple(leaf(i, **(given if i == 2 else {"step": 0.01})) for i in range(SITES))
    assert kinds(judge(evidence(leaves=leaves))) == expected
