"""Every claim, on made-up results: none is hard-wired, and each says so when it can't tell."""

import dataclasses
import fnmatch
import functools
import importlib
import json
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from experiments import claims
from experiments.claims import (
    CLAIMS,
    OUR_CLAIMS,
    Claim,
    Judgement,
    Verdict,
    at_false_discovery_rate,
    counts,
    judge,
    judge_ours,
    q_values,
    to_json,
)
from experiments.claims.paper import TABLE_1
from experiments.data.registry import DATA_SETS
from experiments.results import schema as schema
from glorot_jax.files import write_netcdf
from tests.experiments import made_up
from tests.experiments.claims.cases import CASES, OUR_CASES
from tests.experiments.made_up_baseline import baseline_part

FIGURES = {
    *(f"fig{number:02d}" for number in range(1, 13)),
    *("eq17", "table1", "selection", "section5", "costs", "baseline"),
    *("plateau", "adam", "first_layer"),
}
OURS = ("plateau", "adam", "first_layer")
# Every row of the paper's figures, tables and numbers, as docs/claims.md lists them.
ROWS = (
    *("Fig. 1", "Fig. 2", "Fig. 3 top", "Fig. 3 bottom"),
    *(f"Fig. {number}" for number in range(4, 9)),
    "eq. 17",
    *(f"Fig. {number}" for number in range(9, 13)),
    *("baseline", "section 5, learning rates", "section 5, layer sizes"),
    *(f"Table 1, {net}" for net in TABLE_1["shapeset"]),
    "Table 1, bold and order",
)
COUNTED = {"fig01-classes", "fig01-one-class-error"}  # images, which all seeds share
KEYS = {
    "p",
    "q",
    "id",
    "where",
    "figure",
    "paper",
    "sentence",
    "status",
    "reason",
    "numbers",
    "if_it_fails",
}
DOCUMENT = Path(__file__).parents[3] / "docs" / "claims.md"
ALL = (*CLAIMS, *OUR_CLAIMS)
BY_ID = {claim.id: claim for claim in ALL}
each_claim = pytest.mark.parametrize("claim", [*ALL], ids=lambda claim: claim.id)


@pytest.fixture(scope="module")
def everything() -> xr.DataTree:
    return made_up.results()


def test_ids_are_unique_and_all_have_cases():
    assert len(BY_ID) == len(ALL)
    assert set(CASES) == set(BY_ID)


def test_every_claim_that_is_written_is_judged():
    written = set()
    for file in pkgutil.iter_modules(claims.__path__):
        module = importlib.import_module(f"{claims.__name__}.{file.name}")
        written |= {id(c) for c in getattr(module, "CLAIMS", ())}
        written |= {id(value) for value in vars(module).values() if isinstance(value, Claim)}
    assert written == {id(claim) for claim in ALL}


def test_a_claim_of_a_figure_that_nothing_lists_is_an_error():
    with pytest.raises(ValueError, match="claim fig01-classes: figure 'fig13' is not in EXHIBITS"):
        dataclasses.replace(BY_ID["fig01-classes"], figure="fig13")


def test_every_row_of_the_paper_has_claims_and_every_claim_a_row():
    lines = re.findall(r"^\| (.+?) \| (`.+`) \|$", DOCUMENT.read_text(encoding="utf-8"), re.M)
    patterns = {row: re.findall("`(.+?)`", found) for row, found in lines}
    assert tuple(patterns) == ROWS
    covered = set()
    for pattern in (pattern for found in patterns.values() for pattern in found):
        matching = fnmatch.filter(BY_ID, pattern)
        assert matching, pattern
        covered.update(matching)
    assert covered == {claim.id for claim in CLAIMS}


def test_ours_are_told_from_the_papers():
    assert {claim.id for claim in OUR_CLAIMS} == set(OUR_CASES)
    assert [claim.ours for claim in ALL] == [claim in OUR_CLAIMS for claim in ALL]
    assert all(claim.id.startswith("our-") == claim.ours for claim in ALL)
    assert all(claim.where.startswith("our question (") for claim in OUR_CLAIMS)
    assert {claim.figure for claim in OUR_CLAIMS}.isdisjoint(claim.figure for claim in CLAIMS)
    text = (DOCUMENT.parent / "question.md").read_text(encoding="utf-8")
    assert all(f"`{claim.id}`" in text for claim in OUR_CLAIMS)


def test_ours_change_no_count_of_the_papers(everything: xr.DataTree):
    without = {n: g for n, g in schema.groups(everything).items() if n not in OURS}
    paper, ours = judge(everything), judge_ours(everything)
    assert counts(paper) == counts(judge(made_up.results(**without)))
    assert [one.claim for one in ours] == list(OUR_CLAIMS)
    assert judge_ours(made_up.results(**without)) == []
    only = judge_ours(made_up.results(adam=everything["adam"].to_dataset()))
    assert {one.claim.figure for one in only} == {"adam"}
    entries = json.loads(to_json(ours))
    assert all(set(entry) == KEYS - {"paper"} | {"expected"} for entry in entries)


def test_all_of_table_1_has_claims():
    nets = {f"table1-{data}-{net}" for data in TABLE_1 for net in TABLE_1[data]}
    assert {name.lower().replace(" ", "-").replace("_", "-") for name in nets} <= set(BY_ID)
    assert len(nets) == 20


@each_claim
def test_contract(claim: Claim):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", claim.id)
    assert claim.figure in FIGURES
    for text in (claim.where, claim.paper, claim.sentence, claim.if_it_fails):
        assert len(text) > 5
        assert "  " not in text
    for text in (claim.paper, claim.sentence, claim.if_it_fails):
        assert text.endswith(".")


@functools.cache
def judged(claim_id: str, case: str) -> Verdict:
    """The verdict on the made-up results in which the claim ``holds`` or ``fails``."""
    return BY_ID[claim_id].test(getattr(CASES[claim_id], case)())


@each_claim
def test_holds_where_it_should(claim: Claim):
    verdict = judged(claim.id, "holds")
    assert verdict.status == "holds", verdict.reason


@each_claim
def test_fails_where_it_should(claim: Claim):
    verdict = judged(claim.id, "fails")
    assert verdict.status in ("contradicted", "undecided"), verdict.reason
    assert verdict.status in verdict.reason


@each_claim
@pytest.mark.parametrize("case", ["holds", "fails"])
def test_numbers_are_json_with_an_interval(claim: Claim, case: str):
    verdict = judged(claim.id, case)
    found = json.loads(json.dumps(verdict.numbers, allow_nan=False))
    estimates = [v for v in found.values() if isinstance(v, dict) and "low" in v]
    assert bool(estimates) == (claim.id not in COUNTED)
    assert all(e["low"] <= e["mean"] <= e["high"] and e["n"] >= 2 for e in estimates)


@each_claim
@pytest.mark.parametrize(
    "results", [xr.DataTree(), made_up.results(gaussians=made_up.gaussians_part())]
)
def test_nothing_to_test_on(claim: Claim, results: xr.DataTree):
    assert claim.test(results).status == "not tested"


@pytest.fixture(scope="module")
def one_seed() -> xr.DataTree:
    return made_up.results(
        surface=made_up.surface_part(seeds=1),
        initial=made_up.initial_part(seeds=1),
        **{name: made_up.training_part(name, seeds=1) for name in TABLE_1},
        selection=made_up.selection_part(seeds=1),
        section5=made_up.section5_part(seeds=1),
        costs=made_up.costs_part(seeds=1),
        baseline=baseline_part(seeds=1),
        **{name: getattr(made_up, f"{name}_part")(seeds=1) for name in OURS},
    )


@each_claim
def test_one_seed_has_no_interval(claim: Claim, one_seed: xr.DataTree):
    if claim.id in COUNTED:
        assert "interval" not in claim.test(one_seed).reason
        return
    assert claim.test(one_seed).status == "not tested"


NEEDS_LENGTH = {
    "fig02-leaves-about-epoch-100": {"sigmoid_4_leaves": None},
    "fig02-first-layer-saturates": {"sigmoid_4_leaves": None},
    "fig02-top-falls": {"top_falls_to": 0.3},
    "fig02-depth-5-never-leaves": {},
    "table1-sigmoid-plateau": {},
    "fig11-sigmoid-4-better": {},
    "fig11-sigmoid-4-poorer": {},
    **{
        f"table1-shapeset-{net.lower().replace(' ', '-')}": {}
        for net in made_up.TABLE_1["shapeset"]
        if net in TABLE_1["shapeset"]
    },
}


@pytest.mark.parametrize("claim_id", NEEDS_LENGTH)
def test_short_runs_do_not_decide_what_takes_long(claim_id: str):
    part = made_up.training_part("shapeset", updates=200_000, **NEEDS_LENGTH[claim_id])
    verdict = BY_ID[claim_id].test(made_up.results(shapeset=part))
    assert verdict.status == "not tested"
    assert re.search(r"\d", verdict.reason)


def test_an_early_escape_contradicts_at_any_length():
    part = made_up.training_part(
        "shapeset", updates=200_000, sigmoid_leaves=0.5, final_error={"Sigmoid": 0.4}
    )
    results = made_up.results(shapeset=part)
    for claim_id in ("fig02-depth-5-never-leaves", "table1-sigmoid-plateau"):
        assert BY_ID[claim_id].test(results).status == "contradicted"


def test_narrow_nets_keep_their_numbers_but_decide_nothing_absolute():
    results = made_up.results(
        initial=made_up.initial_part(width=64, inputs=64),
        shapeset=made_up.training_part("shapeset", width=64),
    )
    for claim_id in ("eq17-standard", "eq17-normalized", "table1-shapeset-tanh"):
        verdict = BY_ID[claim_id].test(results)
        assert verdict.status == "not tested"
        assert "paper" in verdict.numbers
        assert any(isinstance(v, dict) and v["n"] == 3 for v in verdict.numbers.values())


def test_kernels_too_small_to_show_a_variance():
    results = made_up.results(initial=made_up.initial_part(width=16, inputs=16))
    assert BY_ID["eq15-standard-variance"].test(results).status == "not tested"


@pytest.mark.parametrize("stand_in", ["digits", "imagenette"])
def test_a_stand_in_shows_its_numbers_and_decides_nothing(stand_in: str):
    name = DATA_SETS[stand_in].stands_in_for.replace("_", "-")
    results = made_up.results(**{stand_in: made_up.training_part(stand_in)})
    about = [claim for claim in CLAIMS if f"-{name}-" in claim.id]
    assert len(about) >= 10
    for claim in about:
        verdict = claim.test(results)
        assert verdict.status == "not tested"
        assert stand_in in verdict.numbers


def test_no_net_that_learns():
    guessing = dict.fromkeys(made_up.CONDITIONS, 0.8333)
    results = made_up.results(shapeset=made_up.training_part("shapeset", final_error=guessing))
    for claim_id in ("fig11-tanh-n-helps", "fig11-order", "fig11-classical-poorer"):
        assert BY_ID[claim_id].test(results).status == "not tested"


def test_no_saturation_no_order_of_saturation():
    part = made_up.training_part("shapeset", ceiling={"Tanh": 0.8})
    verdict = BY_ID["fig03-tanh-saturates-in-order"].test(made_up.results(shapeset=part))
    assert verdict.status == "not tested"


def test_a_diverged_member_is_not_left_out():
    part = made_up.training_part("shapeset")
    error = part["final_test_error"].copy()
    error[{"condition": 2, "seed": 0}] = float("nan")
    results = made_up.results(shapeset=part.assign(final_test_error=error))
    verdict = BY_ID["fig11-tanh-n-helps"].test(results)
    assert verdict.status == "not tested"
    assert "1 of 3 seeds" in verdict.reason


def test_missing_condition():
    conditions = {"Tanh": made_up.CONDITIONS["Tanh"]}
    part = made_up.training_part("shapeset", conditions=conditions)
    verdict = BY_ID["fig11-tanh-n-helps"].test(made_up.results(shapeset=part))
    assert verdict.status == "not tested"
    assert "tanh" in verdict.reason
    assert "normalized" in verdict.reason


def test_few_test_examples_do_not_tell_class_frequencies():
    part = made_up.training_part("shapeset", test_examples=1000)
    verdict = BY_ID["fig01-one-class-error"].test(made_up.results(shapeset=part))
    assert verdict.status == "not tested"
    assert " test examples are too few" in verdict.reason


def test_one_class_error_needs_each_class_of_one_shape():
    shares = (1 / 6 + 0.02, 1 / 6 - 0.02, *made_up.SHAPESET_SHARES[2:])
    part = made_up.training_part("shapeset", class_shares=shares)
    verdict = BY_ID["fig01-one-class-error"].test(made_up.results(shapeset=part))
    assert verdict.status == "contradicted"
    assert "T 0.8133" in verdict.reason


def test_an_order_takes_three_layers():
    late = {"Tanh": (0.2, 0.5, 3.0, 3.0, 3.0)}
    part = made_up.training_part("shapeset", saturation=late)
    verdict = BY_ID["fig03-tanh-saturates-in-order"].test(made_up.results(shapeset=part))
    assert verdict.status == "not tested"
    assert "only 2 layer(s)" in verdict.reason


def test_examples_of_too_few_classes_fail():
    results = made_up.results(examples=made_up.examples_part(examples=8))
    assert BY_ID["fig01-classes"].test(results).status == "contradicted"


@pytest.mark.parametrize("claim_id", ["selection-best-depth", "selection-sigmoid-depth"])
def test_depth_is_not_chosen_before_anything_is_learned(claim_id: str):
    guessing = dict.fromkeys(made_up.DEPTH_ERROR, (0.6, 0.7, 0.8333, 0.8333, 0.8333))
    part = made_up.selection_part(depth_error=guessing, updates=200_000)
    verdict = BY_ID[claim_id].test(made_up.results(selection=part))
    assert verdict.status == "not tested"
    assert re.search(r"\d", verdict.reason)


def test_one_depth_is_no_choice():
    conditions = {net: made_up.CONDITIONS[net] for net in TABLE_1["shapeset"]}
    part = made_up.training_part("selection", conditions=conditions)
    for claim_id in ("selection-best-depth", "selection-sigmoid-depth"):
        assert BY_ID[claim_id].test(made_up.results(selection=part)).status == "not tested"


def test_numbers_show_the_error_of_every_depth():
    verdict = BY_ID["selection-best-depth"].test(
        made_up.results(selection=made_up.selection_part())
    )
    shown = verdict.numbers["Tanh: validation error by depth"]
    assert list(shown) == ["1", "2", "3", "4", "5"]
    assert shown["5"] == pytest.approx(made_up.DEPTH_ERROR["Tanh"][4], rel=0.02)


def test_a_study_without_the_usual_net_does_not_decide():
    plain = made_up.section5_part()
    without = plain.isel(condition=plain["optimizer"].values != "sgd")
    verdict = BY_ID["section5-hessian-helps"].test(made_up.results(section5=without))
    assert verdict.status == "not tested"


def test_other_ways_of_training_do_not_stand_in_for_the_usual_one():
    mixed = made_up.section5_part(final_error={"Tanh, Hessian rates": 0.01})
    part = mixed.isel(condition=slice(None, None, -1))  # the unusual ones first
    verdict = BY_ID["fig11-tanh-n-helps"].test(made_up.results(shapeset=part))
    assert verdict.numbers["Tanh"]["mean"] == pytest.approx(0.2715, rel=0.02)


def test_the_p_of_table_1_asks_for_more_than_95_percent():
    part = made_up.training_part("shapeset", noise=0.03, seeds=3)
    results = made_up.results(shapeset=part)
    loose, strict = BY_ID["fig11-tanh-n-helps"], BY_ID["table1-shapeset-tanh-differs"]
    assert loose.test(results).status == "holds"
    assert "99.83%" in strict.test(results).reason  # 0.005 over Holm's 3
    widths = [
        estimate["high"] - estimate["low"]
        for claim in (loose, strict)
        for name, estimate in claim.test(results).numbers.items()
        if "less" in name
    ]
    assert widths[1] > 3 * widths[0]


@pytest.fixture(scope="module")
def some() -> xr.DataTree:
    """A part of each kind: a whole judgement takes a while."""
    return made_up.results(
        examples=made_up.examples_part(),
        surface=made_up.surface_part(),
        initial=made_up.initial_part(),
        shapeset=made_up.training_part("shapeset"),
        section5=made_up.section5_part(),
        baseline=baseline_part(),
    )


def test_order_of_seeds_does_not_matter(some: xr.DataTree):
    mirrored = made_up.results(
        **{
            name: group.isel(seed=slice(None, None, -1), missing_dims="ignore")
            for name, group in schema.groups(some).items()
        }
    )
    statuses = [one.verdict.status for one in judge(some)]
    assert [one.verdict.status for one in judge(mirrored)] == statuses


def test_saved_results_are_judged_alike(some: xr.DataTree, tmp_path):
    loaded = schema.load(write_netcdf(some, tmp_path / "results.nc"))
    assert to_json(judge(loaded)) == to_json(judge(some))


def test_json_and_counts(everything: xr.DataTree):
    judgements = judge(everything)
    entries = json.loads(to_json(judgements))
    assert [entry["id"] for entry in entries] == [claim.id for claim in CLAIMS]
    assert all(set(entry) == KEYS for entry in entries)
    found = counts(judgements)
    assert set(found) == {"holds", "contradicted", "undecided", "not tested"}
    assert sum(found.values()) == len(CLAIMS)
    assert found["holds"] > 0
    assert found["contradicted"] > 0


def test_the_rate_of_false_discoveries_is_that_of_benjamini_and_hochberg():
    p = [0.04, None, 0.001, 0.03, 0.2]
    verdicts = [Verdict("holds", {}, "so", value) for value in p]
    judgements = [Judgement(CLAIMS[0], verdict) for verdict in verdicts]
    made = q_values(judgements)
    # By hand: p m / rank, then no larger than that of a larger p.
    assert made[1] is None
    np.testing.assert_allclose(
        [made[2], made[3], made[0], made[4]], [0.001 * 4, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.2]
    )
    assert q_values([]) == []
    # 0.004, 0.053, 0.053 and 0.2: one of four.
    told = at_false_discovery_rate(judgements)
    assert told.startswith("Of 4 claims decided by a 95% interval 1 stand at")
    assert at_false_discovery_rate(judgements[1:2]) == ""


def test_a_fast_judge_of_a_part_of_the_results(everything: xr.DataTree):
    only = made_up.results(surface=made_up.surface_part())
    assert counts(judge(only))["not tested"] == len(CLAIMS) - 1
