"""Judgements of change: runs that fell sick, their healthy neighbours, and made-up histories."""

import numpy as np
import pytest

from glorot_jax.diagnosis.judging.changes import judge_run
from glorot_jax.diagnosis.judging.finding import NOTE, SEVERE, WARNING
from glorot_jax.diagnosis.judging.history import Crossing, History, counted, crossings
from tests.diagnosis.trained import EVERY, UPDATES, run

HEALTHY = (
    "tanh",
    "tanh nearly saturating",
    "relu",
    "relu with a hard batch",
    "normalised, by a schedule",
    "float32",
)


def _site(name, statistic, site):
    labels = run(name).history[0][1].sites
    return np.array([one.values[statistic][labels.index(site)] for _, one in run(name).history])


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_said_of_a_healthy_run(name):
    assert len(run(name).history) == UPDATES // EVERY
    assert run(name).findings == {}


def test_layers_that_saturate_are_named_in_their_order():
    finding = run("tanh saturating").findings["saturation"]
    begun = {}
    for site in finding.sites:
        over = _site("tanh saturating", "saturated", site) > 0.3
        begun[site] = EVERY * int(np.argmax(over[:-1] & over[1:]))
    first, second, third = finding.sites
    assert begun[first] < begun[second] < begun[third]
    assert finding.text.startswith(
        f"{first} saturates from update {begun[first]} on; {second} follows at {begun[second]}; "
        f"{third} at {begun[third]}"
    )
    assert finding.severity in (WARNING, SEVERE)


def test_units_that_die_by_a_large_step_and_those_that_live_through_one():
    finding = run("relu dying").findings["dead units"]
    for site in finding.sites:
        share = _site("relu dying", "dead", site)
        assert share[:11].max() < 0.3
        assert share[11:].max() > 0.7
    assert "none comes back; the loss had jumped at update 102" in finding.text
    survived = run("relu after a large step").findings
    assert survived.keys() == {"loss spike"}
    assert survived["loss spike"].severity == NOTE


def test_a_bad_batch_is_found_by_its_update_between_measurements():
    sick = run("relu with a bad batch")
    finding = sick.findings["loss spike"]
    assert sick.costs[203] > 3 * sick.costs[200:203].mean()
    assert f"jumps at update 203 and reaches {sick.costs[201:211].max():.3g}" in finding.text
    assert "before it, at 200, no site had moved" in finding.text
    assert "update 203" in finding.cure
    neighbour = run("relu with a hard batch")
    assert neighbour.costs[203] > 1.2 * neighbour.costs[200:203].mean()


def test_a_run_that_diverges_says_since_when():
    findings = run("relu diverging").findings
    finite = np.isfinite(run("relu diverging").costs)
    assert not finite[EVERY]
    assert findings.keys() == {"not finite"}
    assert findings["not finite"].severity == SEVERE
    assert "not finite from update 10 on; it was 2.06 at 0" in findings["not finite"].text


def test_a_run_that_learns_nothing_is_a_plateau():
    findings = run("tanh standing still").findings
    assert findings.keys() == {"plateau"}
    assert findings["plateau"].severity == WARNING
    assert "from update 0 to 390" in findings["plateau"].text


def test_kernels_that_shrink_until_the_rate_is_another():
    finding = run("normalised, decaying").findings["learning rate drift"]
    norms = _site("normalised, decaying", "parameter_norm", finding.sites[0])
    quarter = len(norms) // 4
    ratio = np.median(norms[:quarter]) / np.median(norms[-quarter:])
    assert finding.value == pytest.approx(ratio, rel=1e-5)
    assert "shrinks" in finding.text
    # By a schedule the steps shrink as much, and the norms stay.
    steps = _site("normalised, by a schedule", "step", "hidden_02/w")
    assert steps[-1] < steps[0] / 10


def test_updates_that_bfloat16_rounds_away():
    finding = run("bfloat16").findings["updates rounded away"]
    assert finding.sites[0] == "hidden_01/w"
    assert _site("bfloat16", "unmoved", "hidden_01/w")[-1] > 0.5
    assert _site("float32", "unmoved", "hidden_01/w").max() < 0.1


# Made up: what training would take long to show.
SITES = ("a/w", "b/w", "c/w")


def _history(count=40, **arrays):
    """A healthy run, every 500 updates, with other arrays in the place of some."""
    t = np.arange(count)
    rng = np.random.default_rng(0)
    noise = np.exp(0.1 * rng.normal(size=(count, len(SITES))))
    usual = {
        "two_sided": np.ones((count, 3)),
        "saturated": 0.02 * noise,
        "dead": 0.01 * noise,
        "s_std": noise,
        "ds_norm": noise,
        "step": 1e-3 * noise,
        "unmoved": 0.01 * noise,
        "parameter_norm": 1 + 0.01 * t[:, None] * noise,
        "attention_entropy": 0.8 * noise,
        "net_loss": 2 * np.exp(-t / 10) + 0.1 * noise[:, 0],
        "net_loss_mean": 2 * np.exp(-t / 10) + 0.1,
        "net_loss_max": 3 * np.exp(-t / 10) + 0.3 * noise[:, 1],
        "net_loss_jump_ago": np.full(count, np.nan),
        "net_loss_max_ago": np.full(count, 7.0),
    }
    return History(500 * t, SITES, usual | arrays)


def _after(first, value, usual, *, until=None, site=0, count=40):
    values = np.full((count, len(SITES)), usual, float)
    values[first:until, site] = value
    return values


def _said(**arrays):
    return {finding.kind: finding for finding in judge_run(_history(**arrays))}


def test_of_a_healthy_history_nothing_is_said():
    assert judge_run(_history()) == ()


def test_units_that_come_back_are_a_note():
    dead = _said(dead=_after(10, 0.8, 0.0, until=20))["dead units"]
    assert dead.severity == NOTE
    assert dead.text == "a/w dies from update 5 000 on; a/w comes back at 10 000"
    saturated = _said(saturated=_after(0, 0.5, 0.0))["saturation"]
    assert saturated.text == "a/w is saturated from the first measurement on"


def test_one_measurement_alone_is_chance_and_one_sided_functions_do_not_saturate():
    assert _said(dead=_after(10, 0.8, 0.0, until=11), saturated=_after(9, 0.9, 0, until=10)) == {}
    assert _said(saturated=_after(9, 0.9, 0.0), two_sided=np.zeros((40, 3))) == {}


def test_attention_that_becomes_one_hot_and_a_head_that_was_sharp_all_along():
    collapsed = _said(attention_entropy=_after(24, 0.05, 0.8, site=1))["attention collapse"]
    assert collapsed.text == "b/w feeds one-hot attention from update 12 000 on"
    assert _said(attention_entropy=np.full((40, 3), 0.14)) == {}


def _spiking(first, size, *, until):
    history = _history()
    loss, mean, largest = (history.net(f"loss{end}").copy() for end in ("", "_mean", "_max"))
    for values in (loss, mean, largest):
        values[first:until] = size
    jump = history.net("loss_jump_ago").copy()
    jump[first] = 120
    names = ("net_loss", "net_loss_mean", "net_loss_max", "net_loss_jump_ago")
    return dict(zip(names, (loss, mean, largest, jump), strict=True))


def test_a_spike_names_the_site_that_had_moved_before_it():
    moved = _history().site("ds_norm").copy()
    moved[19, 2] *= 8
    spike = _said(**_spiking(20, 5.0, until=22), ds_norm=moved)["loss spike"]
    assert spike.text.startswith("the loss jumps at update 9 880 and reaches 5, from ")
    assert "it is back by 11 000; before it, at 9 500, had moved: |dC/ds| of c/w x" in spike.text
    assert (spike.sites, spike.severity) == (("c/w",), NOTE)
    stays = _said(**_spiking(20, 5.0, until=None))["loss spike"]
    assert stays.severity == WARNING
    assert "it isn't back" in stays.text
    assert "no site had moved" in stays.text


def test_a_plateau_that_ends_and_a_run_that_is_done():
    t = np.arange(40)
    late = 2.3 * np.where(t < 25, 1.0, np.exp(-(t - 25) / 4))
    ends = _said(net_loss=late, net_loss_mean=late)["plateau"]
    assert ends.severity == NOTE
    assert "then falls to" in ends.text
    done = 2.3 * np.where(t < 5, np.exp(-t / 5), np.exp(-1))
    assert _said(net_loss=done, net_loss_mean=done) == {}


def test_one_step_too_far_is_no_drift():
    sudden = {
        "parameter_norm": _after(20, 9.0, 1.0),
        "step": _after(20, 1e-4, 1e-3),
    }
    assert _said(**sudden) == {}
    slow = np.broadcast_to(np.geomspace(1, 9, 40)[:, None], (40, 3))
    drift = _said(parameter_norm=slow, step=1e-3 / slow**2)["learning rate drift"]
    assert "grows" in drift.text


def test_a_schedule_that_ends_at_zero_rounds_nothing_away():
    late = {"unmoved": _after(35, 1.0, 0.0), "step": _after(35, 1e-9, 1e-3)}
    assert _said(**late) == {}
    assert "updates rounded away" in _said(unmoved=_after(35, 1.0, 0.0))


def test_updates_are_rounded_away_for_good_only_where_there_is_something_left_to_learn():
    lost = {"unmoved": _after(20, 1.0, 0.0)}
    done = 2 * np.exp(-np.arange(40) / 4)
    assert _said(**lost)["updates rounded away"].severity == "severe"
    assert _said(**lost, net_loss=done)["updates rounded away"].severity == "note"


def test_a_history_without_costs_or_optimizer_is_judged_by_what_it_has():
    history = _history()
    keep = ("two_sided", "saturated", "dead", "s_std", "net_loss")
    few = History(history.updates, SITES, {name: history.arrays[name] for name in keep})
    assert judge_run(few) == ()
    spiked = history.net("loss").copy()
    spiked[20] = 9.0
    found = judge_run(History(few.updates, SITES, few.arrays | {"net_loss": spiked}))
    assert [finding.kind for finding in found] == ["loss spike"]
    assert "at update 10 000" in found[0].text


def test_crossings_are_twice_running_and_first_come_first():
    over = np.zeros((6, 3), bool)
    over[3:, 0] = over[1:3, 1] = over[4, 2] = True
    assert crossings(over) == [Crossing(1, 1, 3), Crossing(0, 3, None)]
    assert crossings(np.ones((1, 1), bool)) == [Crossing(0, 0, None)]
    assert counted(1234567) == "1 234 567"
