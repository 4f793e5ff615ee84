"""The panel in a real browser: its curves against theory, its controls, words and looks."""

import re
import shutil

import jax.numpy as jnp
import jinja2
import numpy as np
import pytest
from playwright import sync_api

from experiments.report.panel import panel
from experiments.report.panel_table import DOCS, SHOWN, SIGMA_B2, SIGMA_W2
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.theory import meanfield, spectrum

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WHITE, DARK = "rgb(255, 255, 255)", "rgb(21, 23, 26)"


def test_the_docs_have_today_s_panel():
    again = "python -m experiments.report.panel_table"
    assert DOCS.read_text(encoding="utf-8") == panel(), f"{DOCS} is old: {again}"


def test_a_template_takes_the_panel_as_it_is():
    page = jinja2.Environment(autoescape=True).from_string("{{ panel }}").render(panel=panel())
    assert page == panel()


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page that holds the panel and nothing else."""
    path = tmp_path_factory.mktemp("panel") / "page.html"
    head = '<meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>t</title>'
    path.write_text(
        f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{panel()}</body></html>',
        encoding="utf-8",
    )
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    """The panel, opened; it may not complain, nor ask the network for anything."""
    opened, wrong = browser.new_page(), []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on(
        "request", lambda request: None if request.url == address else wrong.append(request.url)
    )
    opened.goto(address)
    yield opened
    opened.close()
    assert not wrong


def _set(page, *, activation=None, **sliders):
    if activation:
        page.select_option("#mf-activation", activation)
    for name, value in sliders.items():
        page.fill(f"#mf-{name}", str(value))


def _curve(page, name):
    """The numbers of the dots, and how high up the dots are, in pixels."""
    dots = page.locator(f"[data-curve={name}] circle")
    pairs = dots.evaluate_all(
        "dots => dots.map(dot => { const box = dot.getBoundingClientRect();"
        " return [Number(dot.dataset.value), -(box.top + box.bottom) / 2]; })"
    )
    return np.array(pairs, np.float64).T  # a large whole number comes as an int


def _phase(page):
    return page.locator(".mean-field").get_attribute("data-phase")


def _shown_weights(page):
    return float(page.locator("output[for=mf-weights]").inner_text())


def _expected(activation, layers, sigma_w2, sigma_b2):
    """Var[s] of each layer and Var[dC/ds] as a share of the top layer's."""
    q = [sigma_w2 + sigma_b2]
    for _ in range(layers - 1):
        q.append(float(meanfield.variance_map(activation, q[-1], sigma_w2, sigma_b2)))
    factors = [float(meanfield.chi(activation, each, sigma_w2)) for each in q[:-1]]
    return np.array(q), np.cumprod([1.0, *factors[::-1]])[::-1]


SLIDERS = (
    {"depth": 5, "weights": -0.48, "biases": 0},
    {"depth": 8, "weights": 1.52, "biases": 14},
    {"depth": 30, "weights": 0.6, "biases": 8},
)


@pytest.mark.parametrize("sliders", SLIDERS, ids=("shallow", "middle", "deep"))
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softsign", "relu"])
def test_curves_follow_the_sliders_as_theory_does(page, name, sliders):
    f = ACTIVATIONS[name]
    _set(page, activation=name, **sliders)
    sigma_w2, sigma_b2 = _shown_weights(page), SIGMA_B2[sliders["biases"]]
    assert sigma_w2 == pytest.approx(10 ** sliders["weights"], rel=5e-3)
    q, backward = _expected(f, sliders["depth"], sigma_w2, sigma_b2)
    # The cubic is good to 1e-5 a layer.
    np.testing.assert_allclose(_curve(page, "forward")[0], q, rtol=1e-3)
    np.testing.assert_allclose(_curve(page, "backward")[0], backward, rtol=1e-3)
    singular = _curve(page, "singular")[0]
    assert len(singular) == sliders["depth"]
    for layer in (0, -1):
        expected = spectrum.mean_singular_value(f, float(q[layer]), sigma_w2)
        assert singular[layer] == pytest.approx(expected, rel=1e-3)
    assert _phase(page) == meanfield.phase(f, sigma_w2, sigma_b2)
    chi = float(page.locator(".mean-field").get_attribute("data-chi"))
    fixed = meanfield.fixed_point(f, sigma_w2, sigma_b2, start=float(q[0]))
    assert chi == pytest.approx(float(meanfield.chi(f, fixed, sigma_w2)), rel=1e-3)


def test_relu_s_powers_far_beyond_the_table(page):
    _set(page, activation="relu", depth=50, weights=2.3)
    sigma_w2, layer = _shown_weights(page), np.arange(50)
    expected = sigma_w2 * (sigma_w2 / 2) ** layer
    assert expected[-1] > 1e80
    np.testing.assert_allclose(_curve(page, "forward")[0], expected, rtol=1e-3)
    backward = (sigma_w2 / 2) ** layer[::-1]
    np.testing.assert_allclose(_curve(page, "backward")[0], backward, rtol=1e-3)


@pytest.mark.parametrize("name", SHOWN)
def test_curves_are_what_a_net_without_biases_is_predicted(page, name):
    layers, n = 6, 50
    _set(page, activation=name, depth=layers, weights=0.2)
    signals = meanfield.predict_signals(
        ACTIVATIONS[name],
        [n] * (layers + 2),
        [_shown_weights(page) / n] * (layers + 1),
        input_mean_squares=jnp.ones(1),
        output_gradient_mean_squares=jnp.ones(1),
    )
    np.testing.assert_allclose(_curve(page, "forward")[0], signals.preactivation[:, 0], rtol=1e-3)
    backward = np.asarray(signals.backprop)
    np.testing.assert_allclose(_curve(page, "backward")[0], backward / backward[-1], rtol=1e-3)


@pytest.mark.parametrize("curve", ["forward", "backward", "singular"])
def test_dots_lie_where_their_numbers_are(page, curve):
    _set(page, activation="softsign", depth=20, weights=1.1, biases=3)
    values, height = _curve(page, curve)
    place = values if curve == "singular" else np.log10(values)
    assert np.ptp(place) > 0
    line = np.polyval(np.polyfit(place, height, 1), place)
    np.testing.assert_allclose(height, line, atol=0.5)
    assert np.polyfit(place, height, 1)[0] > 0


def test_the_slider_moves_by_key_and_by_mouse(page):
    slider = page.locator("#mf-weights")
    assert _shown_weights(page) == 0.333
    before = _curve(page, "forward")[0]
    slider.press("ArrowRight")
    by_key = _curve(page, "forward")[0]
    assert (by_key > before).all()
    box = slider.bounding_box()
    slider.click(position={"x": box["width"] * 0.75, "y": box["height"] / 2})
    assert (_curve(page, "forward")[0] > by_key).all()
    np.testing.assert_allclose(_curve(page, "forward")[0][0], _shown_weights(page), rtol=1e-3)
    slider.press("End")
    assert _shown_weights(page) == pytest.approx(SIGMA_W2[1], rel=0.03)


def test_every_control_is_reached_by_tab_and_named(page):
    page.keyboard.press("Tab")
    names = []
    for _ in range(8):
        names.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
        page.keyboard.press("Tab")
    assert names[:4] == ["mf-activation", "mf-depth", "mf-weights", "mf-biases"]
    assert [name.split(",")[0] for name in names[4:]] == [
        "standard",
        "normalized",
        "He",
        "critical",
    ]
    for name in ("activation", "hidden layers", "weights, n Var[W]", "biases, Var[b]"):
        assert page.get_by_label(name, exact=True).count() == 1


@pytest.mark.parametrize(("name", "biases"), [("sigmoid", 0), ("tanh", 8), ("relu", 0)])
def test_the_critical_button_leads_to_the_critical_point(page, name, biases):
    _set(page, activation=name, biases=biases)
    assert _phase(page) == "ordered"
    page.get_by_role("button", name="critical").click()
    assert _phase(page) == "critical"
    expected = meanfield.critical_sigma_w2(ACTIVATIONS[name], SIGMA_B2[biases])
    assert _shown_weights(page) == pytest.approx(expected, rel=5e-3)
    page.press("#mf-weights", "ArrowRight")
    assert _phase(page) == "chaotic"


def test_no_critical_point_no_button(page):
    _set(page, activation="relu", biases=8)
    assert page.get_by_role("button", name="critical").is_disabled()


def test_words_and_table_say_what_the_curves_show(page):
    said = page.locator("[aria-live]")
    assert "Ordered: chi = 0.333" in said.inner_text()
    assert "shrinks to 33.3% with each layer" in said.inner_text()
    page.get_by_role("button", name="He").click()
    chi = float(page.locator(".mean-field").get_attribute("data-chi"))
    assert f"Chaotic: chi = {chi:.3f}" in said.inner_text()
    _, backward = _expected(ACTIVATIONS["tanh"], 5, 2.0, 0.0)
    told = re.search(r"from layer 5 to layer 1 it shrinks ([\d.]+)-fold", said.inner_text())
    assert float(told[1]) == pytest.approx(1 / backward[0], rel=5e-3)
    page.locator("summary").click()
    rows = [row.split("\t") for row in page.locator("tbody tr").all_inner_texts()]
    curves = [_curve(page, name)[0] for name in ("forward", "backward", "singular")]
    assert [int(row[0]) for row in rows] == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(
        [list(map(float, row[1:])) for row in rows], np.transpose(curves), rtol=5e-3
    )


def test_nothing_is_cut_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    _set(page, activation="relu", depth=50, weights=2.3, biases=14)
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for text in page.locator(".mean-field svg text").all():
        box = text.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


@pytest.mark.parametrize(("scheme", "ground"), [("light", WHITE), ("dark", DARK)])
def test_curves_and_words_stand_out_by_day_and_by_night(page, scheme, ground):
    page.emulate_media(color_scheme=scheme)
    for selector, least in ((".mf-curve", 3), (".mf-one", 3), ("svg text", 4.5), (".mf-note", 4.5)):
        colours = page.locator(f".mean-field {selector}").first.evaluate(
            "element => { const style = getComputedStyle(element);"
            " return style.stroke !== 'none' ? style.stroke"
            " : element.closest('svg') ? style.fill : style.color; }"
        )
        assert _contrast(colours, ground) >= least, selector


def _contrast(first, second):
    """WCAG 2's ratio of two CSS colours."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour):
    parts = np.array([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_without_scripts_it_says_so(browser, address):
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(address)
    assert "scripts are turned off" in opened.locator("body").inner_text()
    assert not opened.locator("form").is_visible()
    context.close()
