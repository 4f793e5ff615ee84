"""The page is one well-formed file that tells the whole story, failures first."""

import html.parser
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from experiments import configs
from experiments.claims import CLAIMS, judge
from experiments.report import write_page, write_report
from experiments.report.figures import available
from experiments.report.scope import WHOLE_PAPER
from experiments.report.tables import STATUS_ORDER
from tests.experiments import made_up

VOID = {"meta", "img", "br", "hr", "link", "input"}
LARGEST = 6_000_000  # bytes
HOSTILE = "<script>alert('x')</script> & \"quotes\""
ATTRIBUTES = {
    "preset": "quick",
    "device": f"one CPU {HOSTILE}",
    "config": json.dumps({"note": HOSTILE, "width": 1000}),
    "versions": json.dumps({"jax": "1.2.3", "flax": "4.5.6"}),
    "git_revision": "0123456789abcdef0123",
    "wall_time_s": 3725.2,
    "finished": "2026-01-02T03:04:05+00:00",
}


class Reader(html.parser.HTMLParser):
    """Tags must nest; keeps what the tests ask for."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.addresses, self.text, self.tags = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def _read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert not reader.open
    return reader


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
    return _read(report)


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
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    text = report.read_text(encoding="utf-8")
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", text)
    assert "@import" not in text
    assert 'name="viewport"' in text


def test_links_lead_somewhere_and_ids_are_unique(page):
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)


def test_every_figure_has_an_image(results, page):
    assert page.tags.count("img") == len(available(results))
    assert set(available(results)) <= set(page.ids)


def test_claims_that_fail_come_first(results, page):
    verdicts = {judgement.claim.id: judgement.verdict.status for judgement in judge(results)}
    listed = [i.removeprefix("claim-") for i in page.ids if i.startswith("claim-")]
    assert sorted(listed) == sorted(verdicts)
    order = [STATUS_ORDER.index(verdicts[claim]) for claim in listed]
    assert order == sorted(order)
    assert len(set(order)) > 2


def test_a_failure_is_explained(results, page):
    text = " ".join(page.text)
    failed = [
        one.claim for one in judge(results) if one.verdict.status in ("contradicted", "undecided")
    ]
    assert all(claim.if_it_fails in text for claim in failed)


def test_strings_are_escaped(report, page):
    assert "script" not in page.tags
    assert "<script" not in report.read_text(encoding="utf-8")
    assert any(HOSTILE in text for text in page.text)


def test_provenance_is_told(page):
    text = " ".join(page.text)
    for words in ("quick", "1 h 2 min", "0123456789ab", "jax 1.2.3", "2026-01-02T03:04:05+00:00"):
        assert words in text


def test_a_stand_in_is_named_by_its_figure(report):
    text = report.read_text(encoding="utf-8")
    figure = text[text.index('<figure id="fig12">') :]
    assert "Stand-in for MNIST" in figure[: figure.index("<img")]


def test_page_says_what_is_left_out(page):
    text = " ".join(page.text)
    assert "not here: Fig. 12 and Table 1 on MNIST" in text
    assert "here digits of 8 x 8 pixels (not MNIST) instead" in text
    assert "--config=selection:quick" in text
    assert "not here: Fig. 5" not in text
    assert "5 000 000 updates of 10 examples" in text


def test_a_page_of_everything_shows_bold_and_studies(tmp_path):
    results = made_up.results()
    for key in available(results):
        Image.new("1", (1, 1)).save(tmp_path / f"{key}.png")
    path = write_page(results, judge(results), tmp_path, tmp_path / "page.html")
    page = _read(path)
    assert len(page.ids) == len(set(page.ids))
    keys = {"table1", "table1_p", "selection_table", "baseline_table", "pretraining"}
    assert keys <= set(page.ids)
    assert re.search(r"<td><b>[\d.]+ ± ", path.read_text(encoding="utf-8"))
    assert "section 5, on Shapeset-3x2: up to 5 layers" in " ".join(page.text)
    assert {claim.figure for claim in CLAIMS} <= set(page.ids)


def test_what_a_config_shows_can_be_had():
    for shown in WHOLE_PAPER:
        file, _, argument = configs.path(f"{shown.config}:quick").partition(":")
        assert Path(file).is_file()
        assert argument == f"{shown.config},quick"


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"config": "not JSON", "versions": "[1]", "git_revision": ""},
        {"versions": "not JSON", "wall_time_s": 5.4},
    ],
)
def test_provenance_may_be_missing(attributes, tmp_path):
    results = made_up.with_attrs(made_up.results(surface=made_up.surface_part()), **attributes)
    _read(write_page(results, judge(results), tmp_path, tmp_path / "page.html"))


def test_results_of_one_part_give_a_page_without_the_rest(tmp_path):
    results = made_up.results(surface=made_up.surface_part())
    page = _read(write_report(results, tmp_path))
    assert {"fig05", "claims"} <= set(page.ids)
    assert "tables" not in page.ids
    assert page.tags.count("img") == 1


def test_no_claims_still_gives_a_page(tmp_path):
    results = made_up.results(surface=made_up.surface_part())
    page = _read(write_page(results, [], tmp_path, tmp_path / "page.html"))
    assert "0" in page.text
