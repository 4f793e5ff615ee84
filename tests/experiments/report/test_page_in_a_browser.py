"""The page in a real browser: what its script does, and what a phone shows."""

import base64
import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from experiments.claims import CLAIMS, judge
from experiments.report import write_page
from experiments.report.figures import available, vector
from glorot_jax.colours import on_dark
from tests.experiments import made_up

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
SCREEN = (390, 844)  # points, of a phone
FRAME = """<!DOCTYPE html><body style="margin:0"><iframe src="{page}"
style="width:{width}px;height:{height}px;border:0"></iframe><pre id="told"></pre><script>
document.querySelector("iframe").onload = (event) => {{
  const page = event.target.contentDocument, window_ = event.target.contentWindow;
  const told = (() => {{ {script} }})();
  document.getElementById("told").textContent = JSON.stringify(told);
}};
</script></body>"""
SEARCH = """
const form = page.getElementById("filter"), list = [...page.getElementById("list").children];
const shown = () => list.filter((one) => !one.hidden).map((one) => one.id);
const states = () => [...new Set(list.filter((one) => !one.hidden).map((o) => o.dataset.state))];
const change = () => form.dispatchEvent(new window_.Event("input"));
const before = shown().length;
form.search.value = "SIGMOID plateau"; change();
const with_both = list.filter((one) =>
  ["sigmoid", "plateau"].every((word) => one.textContent.toLowerCase().includes(word)));
const found = shown(), wanted = with_both.map((one) => one.id), said = form.shown.value;
form.search.value = ""; change();
const box = form.querySelector("input[value='not tested']");
box.checked = false; change();
const without = states();
page.querySelector("a[data-only='not tested']").click();
return {visible: !form.hidden, before, found, wanted, said, without, only: states()};
"""
LAYOUT = """
for (const fold of page.querySelectorAll("details")) fold.open = true;
const room = page.documentElement.clientWidth;  // less than a phone's by the scroll bar
const cut = [...page.body.querySelectorAll("*")].filter((one) => {
  if (one.closest(".scroll, .skip, pre") && !one.closest("caption span")) return false;
  const box = one.getBoundingClientRect();
  return box.width && (box.right > room + 1 || box.left < -1);
});
return {
  beyond: page.documentElement.scrollWidth - room,
  cut: cut.map((one) => one.outerHTML.slice(0, 80)),
  first: page.querySelector("figure").getBoundingClientRect().top + window_.scrollY,
};
"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    results = made_up.results(
        initial=made_up.initial_part(),
        shapeset=made_up.training_part("shapeset"),
        digits=made_up.training_part("digits").assign_attrs(origin="a_long_name/" * 30),
    )
    known = {
        "preset": "paper",
        "config": json.dumps({"name": "paper", "online": {"updates": 20_000}}),
        "changed_from_preset": '["online.updates"]',
    }
    folder = tmp_path_factory.mktemp("work")
    for key in available(results):
        Image.new("1", (4, 3)).save(folder / f"{key}.png")
    results = made_up.with_attrs(results, **known)
    return write_page(results, judge(results), folder, folder / "page.html")


def _tell(page, script, *, profile):
    """What ``script`` returns, run beside the page in a frame as large as a phone."""
    width, height = SCREEN
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.format(page=page.name, width=width, height=height, script=script))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    options += [f"--user-data-dir={profile}", "--virtual-time-budget=10000", "--dump-dom"]
    done = subprocess.run(
        [BROWSER, *options, frame.as_uri()], capture_output=True, text=True, timeout=120
    )
    told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told, done.stderr[-2000:]
    return json.loads(html.unescape(told[1]))


DRAWN = """<svg xmlns="http://www.w3.org/2000/svg" width="60" height="60">
 <defs>
 </defs>
 <path d="M0 0h60v60h-60z" style="fill: #ffffff"/><path d="M10 10h20v20h-20z"/>
 <path d="M40 40h20v20h-20z" style="fill: #9e2a00"/>
</svg>"""


@pytest.mark.parametrize("dark", [False, True])
def test_a_figure_follows_a_dark_page(dark, tmp_path):
    """Its ground, letters, which Matplotlib leaves without a colour, and curves."""
    svg = base64.b64encode(vector.following(DRAWN, title="t").encode()).decode()
    page, shot = tmp_path / "page.html", tmp_path / "shot.png"
    page.write_text(
        '<!DOCTYPE html><meta name="color-scheme" content="light dark"><body style="margin:0">'
        f'<img src="data:image/svg+xml;base64,{svg}" style="display:block;width:60px;height:60px">'
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'u'}"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else []
    options += ["--window-size=500,200", f"--screenshot={shot}", page.as_uri()]
    subprocess.run([BROWSER, *options], capture_output=True, timeout=120, check=True)
    with Image.open(shot) as image:
        seen = [image.convert("RGB").getpixel(place) for place in ((5, 5), (20, 20), (50, 50))]
    wanted = ["#ffffff", "#000000", "#9e2a00"]
    wanted = [on_dark(colour) for colour in wanted] if dark else wanted
    for one, colour in zip(seen, wanted, strict=True):
        np.testing.assert_allclose(one, [int(colour[i : i + 2], 16) for i in (1, 3, 5)], atol=3)


def test_claims_are_found_by_word_and_by_state(page, tmp_path):
    told = _tell(page, SEARCH, profile=tmp_path)
    assert told["visible"]
    assert told["before"] == len(CLAIMS)
    assert "claim-table1-sigmoid-plateau" in told["found"]
    assert told["found"] == told["wanted"]
    assert 0 < len(told["found"]) < len(CLAIMS) / 2
    assert told["said"] == f"{len(told['found'])} of {len(CLAIMS)} shown"
    assert "not tested" not in told["without"]
    assert told["only"] == ["not tested"]


def test_a_phone_shows_a_figure_within_two_screens_and_cuts_nothing(page, tmp_path):
    told = _tell(page, LAYOUT, profile=tmp_path)
    assert told["beyond"] == 0
    assert told["cut"] == []
    assert told["first"] < 2 * SCREEN[1]
