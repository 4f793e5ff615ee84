"""The page is one well-formed file that tells the paper's argument, then every claim."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from experiments import configs
from experiments.claims import CLAIMS, OUR_CLAIMS, counts, judge, judge_ours
from experiments.report import write_page, write_report
from experiments.report.figures import available
from experiments.report.scope import WHOLE_PAPER
from experiments.report.states import ORDER, STATES
from tests.experiments import made_up
from tests.experiments.report.html_tree import read

LARGEST = 6_000_000  # bytes
HOSTILE = "<script>alert('x')</script> & \"quotes\""
REPOSITORY = "https://github.com/glorot-jax/glorot_jax/blob/main/"
ATTRIBUTES = {
    "preset": "quick",
    "device": f"one CPU {HOSTILE}",
    "config": json.dumps({"name": "paper", "note": HOSTILE, "width": 1000}),
    "versions": json.dumps({"jax": "1.2.3", "flax": "4.5.6"}),
    "git_revision": "0123456789abcdef0123",
    "wall_time_s": 3725.2,
    "finished": "2026-01-02T03:04:05+00:00",
}


def _addresses(page):
    return [
        element.attributes[name]
        for element in page.all()
        for name in ("src", "href")
        if name in element.attributes
    ]


def _ids(page):
    return [element.attributes["id"] for element in page.all() if "id" in element.attributes]


@pytest.fixture(scope="module")
def results():
    made = made_up.results(
        surface=made_up.surface_part(),
        initial=made_up.initial_part(singular={"standard": 0.9}),
        digits=made_up.training_part("digits").assign_attrs(origin=f"made up {HOSTILE}"),
    )
    return made_up.with_attrs(made, **ATTRIBUTES)


@pytest.fixture(scope="module")
def report(results, tmp_path_factory):
    return write_report(results, tmp_path_factory.mktemp("work") / "new")


@pytest.fixture(scope="module")
def page(report):
    return read(report)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The page of results with every part; its pictures are dots."""
    results, folder = made_up.results(), tmp_path_factory.mktemp("whole")
    for key in available(results):
        Image.new("1", (1, 1)).save(folder / f"{key}.png")
    page = write_page(
        results, judge(results), folder, folder / "page.html", ours=judge_ours(results)
    )
    return read(page)


def _small(folder, **attributes):
    """A page of results with one part and those attributes."""
    results = made_up.with_attrs(made_up.results(surface=made_up.surface_part()), **attributes)
    return read(write_page(results, judge(results), folder, folder / "page.html"))


def test_report_writes_all_three(results, report):
    assert report.name == "index.html"
    claims = json.loads((report.parent / "claims.json").read_text(encoding="utf-8"))
    assert [claim["id"] for claim in claims] == [claim.id for claim in CLAIMS]
    keys = available(results)
    names = {path.name for path in (report.parent / "figures").iterdir()}
    assert names == {f"{key}.{kind}" for key in keys for kind in ("png", "svg")}
    assert report.stat().st_size < LARGEST


def test_files_are_valid(results, report):
    for key in available(results):
        with Image.open(report.parent / "figures" / f"{key}.png") as image:
            image.verify()
        svg = ElementTree.parse(report.parent / "figures" / f"{key}.svg")
        assert svg.getroot().tag.endswith("svg")


def test_page_needs_nothing_from_outside(report, page):
    """Links lead to the source of a claim; nothing is loaded from there."""
    outside = [one for one in _addresses(page) if not one.startswith(("#", "data:image/"))]
    assert outside
    assert all(address.startswith(REPOSITORY) for address in outside)
    assert {one.tag for one in page.all() if one.attributes.get("href") in outside} == {"a"}
    text = report.read_text(encoding="utf-8")
    assert not re.search(r"(src|url)\s*[=(]\s*[\"']?(https?:)?//", text)
    assert "@import" not in text
    assert 'name="viewport"' in text


def test_links_lead_somewhere_and_ids_are_unique(page, whole):
    for one in (page, whole):
        ids = _ids(one)
        assert len(ids) == len(set(ids))
        assert {address[1:] for address in _addresses(one) if address.startswith("#")} <= set(ids)
        labels = [e.attributes.get("aria-labelledby") for e in one.all("section")]
        assert {label for label in labels if label} <= set(ids)
        assert all("aria-labelledby" in e.attributes for e in one.all("section") if e.all("h2"))


# The story


def test_the_argument_comes_in_the_papers_order(whole):
    sections = [one.attributes["id"] for one in whole.all("section") if "id" in one.attributes]
    assert sections[:6] == ["shrink", "level", "saturation", "error", "question", "rest"]
    assert sections[-1] == "claims"
    places = {id: place for place, id in enumerate(_ids(whole))}
    told = ["fig06", "fig07", "variances", "eq17", "fig02", "fig03", "fig04", "fig10", "fig11"]
    told += ["table1", "rest", "fig01", "fig12", "claims"]
    assert [places[key] for key in told] == sorted(places[key] for key in told)


def test_nothing_is_shown_twice_or_forgotten(whole):
    results = made_up.results()
    figures = [figure.attributes["id"] for figure in whole.all("figure")]
    assert sorted(figures) == sorted(available(results))
    assert {"table1", "table1_p", "selection_table", "baseline_table"} <= set(_ids(whole))
    assert {claim.figure for claim in CLAIMS} <= set(_ids(whole))


def test_three_sentences_and_the_scale_come_before_any_figure(whole):
    verdict = whole.one("p", class_="verdict").text
    assert len(re.findall(r"[.](?= [A-Z]|$)", verdict)) == 3
    results = made_up.results()
    keeps = results["initial/backprop_mean_square"].values[0].mean(axis=0)
    assert f"{(keeps[0] / keeps[-1]) ** (1 / 4):.2f} of that of its gradients" in verdict
    names = list(results["shapeset/condition"].values)
    error = 100 * results["shapeset/final_test_error"].values[names.index("Tanh N")].mean()
    assert f"Tanh N {error:.1f}%; the paper's end at 27.15% and 15.60%" in verdict
    assert f"Of the paper's {len(CLAIMS)} claims" in verdict
    head = whole.one("header")
    assert verdict in head.text
    assert not head.all("figure")


@pytest.mark.parametrize(
    ("updates", "badge"),
    [
        (20_000, "1/250 of the paper's training"),
        (400_000, "1/12.5 of the paper's training"),
        (5_000_000, "the paper's training"),
    ],
)
def test_the_scale_is_a_badge(updates, badge, tmp_path):
    part = made_up.training_part("shapeset", updates=updates).assign_attrs(width=100)
    page = read(write_page(made_up.results(shapeset=part), [], tmp_path, tmp_path / "page.html"))
    badges = [one.text for one in page.one("ul", class_="badges").all("li")]
    assert badges[:2] == [badge, "width 100 of 1000"]


# Claims


def test_every_claim_is_listed_once_with_its_state(results, page):
    verdicts = {judgement.claim.id: judgement.verdict.status for judgement in judge(results)}
    entries = page.one("ul", id="list").elements
    listed = [entry.attributes["id"].removeprefix("claim-") for entry in entries]
    assert sorted(listed) == sorted(verdicts)
    assert [entry.attributes["data-state"] for entry in entries] == [verdicts[i] for i in listed]
    order = [ORDER.index(verdicts[claim]) for claim in listed]
    assert order == sorted(order)
    assert len(set(order)) >= 3


def test_a_state_is_a_word_a_sign_and_a_colour(page):
    for entry in page.one("ul", id="list").elements:
        status = entry.attributes["data-state"]
        shown = entry.all("span", class_="state")[0]
        assert shown.text == f"{STATES[status].sign} {status}"
        assert STATES[status].style in shown.attributes["class"].split()


def test_claims_are_folded_beneath_their_figure(page):
    of_eq17 = [claim for claim in CLAIMS if claim.figure == "eq17"]
    (shown,) = [e for e in page.all("div", class_="shown") if e.all("figure", id="eq17")]
    fold = shown.one("details", class_="of-figure")
    assert "open" not in fold.attributes
    assert fold.all("summary")[0].text.startswith(f"{len(of_eq17)} claims: ")
    assert all(claim.paper in fold.text for claim in of_eq17)


def test_a_claim_shows_its_numbers_its_test_and_its_command(results, page):
    (one,) = [judged for judged in judge(results) if judged.claim.id == "eq17-standard"]
    entry = page.one("li", id="claim-eq17-standard")
    assert one.verdict.reason in entry.text
    (estimate,) = [v for v in one.verdict.numbers.values() if isinstance(v, dict) and "mean" in v]
    assert f"{estimate['mean']:.3g} (" in entry.one("dl").text
    assert entry.one("a", class_="source").attributes["href"].startswith(REPOSITORY)
    command = entry.one("code", class_="again").text
    assert command == ("python -m experiments.launch --config=eq17:quick --workdir=results/eq17")


def test_what_speaks_against_the_paper_is_explained(results, page):
    against = [
        one.claim for one in judge(results) if one.verdict.status in ("fails", "contradicted")
    ]
    assert against
    assert all(claim.if_it_fails in page.text for claim in against)


def test_ours_are_seen_to_be_ours_and_are_not_counted_among_the_papers(whole):
    results = made_up.results()
    listed = whole.one("section", id="our-claims").one("ul", class_="claims").elements
    assert [one.attributes["id"] for one in listed] == [f"claim-{c.id}" for c in OUR_CLAIMS]
    assert all(one.all("p")[0].text.startswith("ours ") for one in listed)
    papers = whole.one("ul", id="list")
    assert not papers.all("span", class_="whose")
    assert len(papers.elements) == len(CLAIMS)
    count = counts(judge(results))
    told = [one.text for one in whole.one("header").all("ul", class_="counts")[0].all("li")]
    assert [int(re.search(r"\d+", text)[0]) for text in told] == [count[s] for s in ORDER]
    ours = whole.one("header").one("ul", class_="ours").text
    assert ours.startswith("ours, not the paper's:")
    assert f"Of {len(OUR_CLAIMS)} claims of our own" in whole.one("p", class_="ours").text
    (shown,) = [e for e in whole.all("div", class_="shown") if e.all("figure", id="plateau")]
    fold = shown.one("details", class_="of-figure")
    assert "claims of our own: " in fold.all("summary")[0].text


def test_a_page_without_our_studies_has_nothing_of_ours(report, page):
    assert not page.all("section", id="our-claims")
    assert not page.all(class_="ours")
    assert not (report.parent / "our_claims.json").exists()


def test_our_claims_have_a_file_of_their_own(tmp_path):
    write_report(made_up.results(adam=made_up.adam_part()), tmp_path)
    paper, ours = (
        json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("claims", "our_claims")
    )
    assert [entry["id"] for entry in paper] == [claim.id for claim in CLAIMS]
    assert [entry["id"] for entry in ours] == [c.id for c in OUR_CLAIMS if c.figure == "adam"]
    assert "### Our own claims, not the paper's" in (tmp_path / "summary.md").read_text()


def test_the_filter_has_a_box_for_each_state_and_is_hidden_without_a_script(page):
    form = page.one("form", id="filter")
    assert "hidden" in form.attributes
    boxes = form.all("input", type="checkbox")
    assert [box.attributes["value"] for box in boxes] == list(ORDER)
    assert all("checked" in box.attributes for box in boxes)
    assert form.all("input", type="search")


# Who made it, and how


def test_strings_are_escaped(report, page):
    scripts = page.all("script")
    assert scripts
    assert not any("alert(" in script.text for script in scripts)
    assert report.read_text(encoding="utf-8").count("<script") == len(scripts)
    assert HOSTILE in page.text


def test_provenance_is_told(page):
    for words in ("quick", "1 h 2 min", "0123456789ab", "jax 1.2.3", "2026-01-02T03:04:05+00:00"):
        assert words in page.text
    assert "config paper:quick" in [one.text for one in page.one("ul", class_="badges").all("li")]


def test_a_changed_preset_says_so_in_the_heading(tmp_path):
    config = {"name": "paper", "online": {"updates": 20_000}}
    page = _small(
        tmp_path,
        preset="paper",
        config=json.dumps(config),
        changed_from_preset='["online.updates"]',
    )
    badges = [one.text for one in page.one("header").one("ul", class_="badges").all("li")]
    assert "config paper:paper, changed" in badges
    assert "changed from the preset: online.updates = 20000" in badges
    commands = {code.text for code in page.all("code", class_="again")}
    assert all("--config.online.updates=20000" in command for command in commands)


def test_many_changes_are_counted_in_the_heading_and_listed_below(tmp_path):
    config = {"name": "paper", "online": dict.fromkeys("abcde", 1)}
    fields = json.dumps([f"online.{name}" for name in "abcde"])
    page = _small(tmp_path, preset="paper", config=json.dumps(config), changed_from_preset=fields)
    told = [one.text for one in page.one("header").all("li", class_="changed")]
    assert len(told) == 4
    assert told[-1] == "2 more changed from the preset"
    assert all(f"online.{name} = 1" in page.one("section", id="made").text for name in "abcde")


@pytest.mark.parametrize("known", [{}, {"changed_from_preset": "[]"}])
def test_an_unchanged_or_older_run_says_nothing_of_changes(known, tmp_path):
    page = _small(tmp_path, preset="paper", config='{"name": "paper"}', **known)
    assert "changed" not in page.one("header").text


def test_a_smoke_page_warns_and_has_no_verdict_colours(tmp_path):
    page = _small(tmp_path, preset="smoke", config='{"name": "paper"}')
    banner = page.one("header").one("p", class_="banner")
    assert "numbers mean nothing" in banner.text
    assert not page.all("p", class_="verdict")
    styles = {state.style for state in STATES.values()}
    coloured = [e for e in page.all() if styles & set(e.attributes.get("class", "").split())]
    assert not coloured


def test_other_pages_have_no_banner_but_colours(page):
    assert not page.all("p", class_="banner")
    assert page.all("span", class_=STATES["holds"].style)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"config": "not JSON", "versions": "[1]", "git_revision": "", "changed_from_preset": "{"},
        {"versions": "not JSON", "wall_time_s": 5.4, "changed_from_preset": '"x"'},
    ],
)
def test_provenance_may_be_missing(attributes, tmp_path):
    assert "changed" not in _small(tmp_path, **attributes).one("header").text


# Figures, tables and the rest


def test_every_figure_has_an_image_and_says_what_is_seen(results, page):
    images = page.all("img")
    assert len(images) == len(available(results))
    seen = {
        figure.attributes["id"]: figure.one("img").attributes["alt"]
        for figure in page.all("figure")
    }
    error = 100 * results["digits/test_error"].sel(learning_rate=0.1).mean("seed").values
    first, last = error[list(results["digits/condition"].values).index("Tanh N"), [0, -1]]
    assert f"Tanh N from {first:.3g} to {last:.3g}" in seen["fig12"]
    assert "layer 1 peaks at" in seen["fig06"]
    assert all(image.attributes["src"].startswith("data:image/svg+xml;") for image in images)
    assert all(figure.all("figcaption") for figure in page.all("figure"))


def test_headers_of_tables_say_what_they_head(whole):
    tables = whole.all("table")
    assert tables
    for table in tables:
        assert {cell.attributes.get("scope") for cell in table.one("thead").all("th")} == {"col"}
        for row in table.one("tbody").all("tr"):
            assert row.elements[0].tag == "th"
            assert row.elements[0].attributes["scope"] == "row"
            assert {cell.tag for cell in row.elements[1:]} == {"td"}
    assert whole.one("div", aria_label="Table 1: test error in %").all("caption")


def test_the_page_has_landmarks(page):
    body = page.one("body")
    tags = [element.tag for element in body.elements]
    assert tags.count("main") == tags.count("header") == tags.count("footer") == 1
    assert page.one("nav").attributes["aria-label"]
    assert page.one("html").attributes["lang"] == "en"
    assert len(page.all("h1")) == 1


def test_a_printed_page_shows_what_is_folded(report):
    style = next(s.text for s in read(report).all("style") if "--ground" in s.text)
    assert "@media print" in style
    printed = style[style.index("@media print") :]
    assert "details::details-content" in printed
    assert ".of-figure > ul, .numbers" in printed  # which the list at the end has


def test_a_stand_in_is_named_by_its_figure(page):
    assert "Stand-in for MNIST" in page.one("figure", id="fig12").text


def test_page_says_what_is_left_out(page):
    text = page.text
    assert "not here: Fig. 12 and Table 1 on MNIST" in text
    assert "here digits of 8 x 8 pixels (not MNIST) instead" in text
    assert "--config=selection:quick" in text
    assert "not here: Fig. 5" not in text
    assert "5 000 000 updates of 10 examples" in text


def test_a_page_of_everything_shows_bold_and_studies(whole):
    bold = [cell.text for cell in whole.all("b")]
    assert any(re.match(r"[\d.]+ ± ", text) for text in bold)
    assert "section 5, on Shapeset-3x2: up to 5 layers" in whole.text


def test_what_a_config_shows_can_be_had():
    for shown in WHOLE_PAPER:
        file, _, argument = configs.path(f"{shown.config}:quick").partition(":")
        assert Path(file).is_file()
        assert argument == f"{shown.config},quick"


def test_results_of_one_part_give_a_page_without_the_rest(tmp_path):
    results = made_up.results(surface=made_up.surface_part())
    page = read(write_report(results, tmp_path))
    assert {"fig05", "claims"} <= set(_ids(page))
    assert [table.attributes["class"] for table in page.all("table")] == ["mf-numbers"]
    assert len(page.all("img")) == 1
    assert "nothing trained" in page.one("header").text


def test_no_claims_still_gives_a_page(tmp_path):
    results = made_up.results(surface=made_up.surface_part())
    page = read(write_page(results, [], tmp_path, tmp_path / "page.html"))
    assert page.one("ul", id="list").elements == []
