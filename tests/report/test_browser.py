"""The page of toy models in a real browser."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from axe_selenium_python import Axe
from browsing import choose, click, press, saved, sized, texts, until, visit

import jsuper
from jsuper.analysis.metrics import toy

HOSTILE = '</script><img src=x onerror="document.title=1">'


def shown(value):
    """Two digits, as the heatmaps have them."""
    return float(f"{value:.2g}")


def test_the_heatmaps_show_medians_and_spreads_of_the_selected_slice(page, analyzed):
    assert len(texts(page, "#heatmaps figure")) == len(toy.HEADLINES)
    loss = analyzed.loss_over_constant
    first = texts(page, "#heatmaps figure:first-child td")
    assert len(first) == 6
    at = {"activation": 0, "sparsity": 2}
    assert float(first[2]) == pytest.approx(shown(loss[at].sel(dropout=0).median()))
    choose(page, "dropout", "0.2")
    choose(page, "show", "spread over seeds")
    low, high = loss[at].sel(dropout=0.2).quantile([0.25, 0.75])
    now = texts(page, "#heatmaps figure:first-child td")[2]
    assert float(now) == pytest.approx(shown(high - low), rel=0.02)


def drawn(page):
    """Whether each picture of the open cell has parts and an area."""
    return page.execute_script(
        "return Array.from(document.querySelectorAll('#cell svg'), (p) => "
        "p.childElementCount > 2 && p.getBoundingClientRect().width > 100)"
    )


@pytest.mark.parametrize("left", [1, 2])
@pytest.mark.parametrize("why", ["seeds", "diverged"])
def test_a_cell_of_few_models_has_a_picture_of_each(opened, analyzed, left, why):
    ds = analyzed.isel(seed=slice(0, left))
    if why == "diverged":
        ds = analyzed.assign(status=analyzed.status.where(analyzed.seed < left, 2))
    browser = opened(ds)
    click(browser, ".heatmap button", 0)
    names = ["best, median, worst"] if left == 1 else ["best, median", "worst"]
    assert [t.split(":")[0] for t in texts(browser, "#cell h3")] == names
    assert drawn(browser) == 3 * left * [True]
    heading = texts(browser, "#heatmaps h3")[0]
    over = "up to 3 seeds" if why == "diverged" else ["1 seed", "2 seeds"][left - 1]
    assert f"median over {over}, dropout 0 " in heading


def test_the_table_sorts_both_ways(page):
    click(page, "#table thead button", 2)
    column = [float(t) for t in texts(page, "#table tbody tr td:nth-child(3)")]
    assert len(column) == 6 and column == sorted(column)
    click(page, "#table thead button", 2)
    down = [float(t) for t in texts(page, "#table tbody tr td:nth-child(3)")]
    assert down == sorted(column, reverse=True)


def test_a_cell_opens_with_pictures_and_all_seeds_and_closes(page, analyzed):
    click(page, ".heatmap button", 2)
    assert texts(page, "#cell-title") == ["dropout 0, activation relu, sparsity 0.9"]
    assert len(texts(page, ".seeds tbody tr")) == 3
    assert "sparsity=0.9" in texts(page, "#cell pre")[0]
    best = int(jsuper.best(analyzed).seed.sel(activation="relu", sparsity=0.9, dropout=0))
    assert texts(page, "#cell h3")[0].startswith(f"best: seed {best}, loss")
    assert drawn(page) == 9 * [True]  # three pictures of three seeds
    click(page, "#cell form button")
    assert page.execute_script("return document.getElementById('cell').open") is False


def test_rows_and_columns_are_chosen_among_all_axes(page, analyzed):
    choose(page, "rows", "dropout")
    first = texts(page, "#heatmaps figure:first-child td")
    assert len(first) == 6 and texts(page, "#curves .key") == ["dropout 0", "dropout 0.2"]
    at = {"dropout": 1, "sparsity": 2, "activation": 0}
    assert float(first[5]) == pytest.approx(shown(analyzed.loss_over_constant[at].median()))
    choose(page, "activation", "hostile")
    second = texts(page, "#heatmaps figure:first-child td")
    assert float(second[5]) == pytest.approx(
        shown(analyzed.loss_over_constant[at | {"activation": 1}].median())
    )
    choose(page, "columns", "dropout")  # which was the rows: they change places
    head = texts(page, "#heatmaps figure:first-child thead th")
    assert head == ["sparsity \\ dropout", "0", "0.2"]


def test_a_link_opens_a_cell_and_buttons_lead_to_its_neighbours(page, run):
    page.get("about:blank")
    visit(page, run / "report.html", "#relu/0.9/0.2")
    assert texts(page, "#cell-title") == ["dropout 0.2, activation relu, sparsity 0.9"]
    click(page, ".steps button", 0)
    assert texts(page, "#cell-title")[0].endswith("activation relu, sparsity 0.5")
    assert page.current_url.endswith("#relu/0.5/0.2")
    assert json.dumps(str(run.absolute())) in texts(page, "#cell pre")[0]
    click(page, "#cell form button")
    until(page, lambda p: "#" not in p.current_url)  # the event of a closed dialog comes later


def test_a_map_is_one_tab_stop_and_arrow_keys_move_in_it(page):
    stops = page.execute_script(
        "return [...document.querySelectorAll('.heatmap')].map("
        "(t) => [...t.querySelectorAll('button')].filter((b) => b.tabIndex === 0).length)"
    )
    assert set(stops) == {1}
    page.execute_script("document.querySelector('.heatmap button').focus()")
    press(page, "ArrowRight", "ArrowDown", "ArrowDown")
    title = page.execute_script("return document.activeElement.title")
    assert title.startswith("dropout 0, activation hostile, sparsity 0.5: ")


def test_the_page_is_dark_where_the_reader_wants_it(page):
    style = "return getComputedStyle(document.body)"
    assert page.execute_script(f"{style}.backgroundColor") == "rgb(255, 255, 255)"
    feature = {"name": "prefers-color-scheme", "value": "dark"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        colours = page.execute_script(f"const s = {style[7:]}; return [s.backgroundColor, s.color]")
        back, text = (sum(map(int, re.findall(r"\d+", c))) for c in colours)
        assert back < 150 and text > 600
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_table_is_filtered_and_saved(page, analyzed):
    page.execute_script(
        "const box = document.getElementById('filter'); box.value = 'relu 0.9';"
        "box.dispatchEvent(new Event('input'))"
    )
    assert len(texts(page, "#table tbody tr")) == 1
    head, row = saved(page, "#csv").splitlines()
    assert head.startswith("activation,sparsity,loss_over_constant") and row.startswith("relu,0.9,")
    head, *rows = saved(page, "#csv-models").splitlines()
    assert len(rows) == analyzed.status.size
    columns = head.split(",")
    assert columns[:5] == ["dropout", "activation", "sparsity", "seed", "status"]
    at = dict(zip(columns, rows[-1].split(","), strict=True))
    expected = analyzed.loss.sel(dropout=0.2, sparsity=0.9, seed=2).isel(activation=1)
    assert at["seed"] == "2" and float(at["loss"]) == pytest.approx(float(expected))


def test_every_picture_is_saved_as_svg_and_its_numbers_as_csv(page, analyzed):
    svg = ElementTree.fromstring(saved(page, "#heatmaps .save", 0))
    numbers = [e.text for e in svg.iter("{http://www.w3.org/2000/svg}text")]
    loss = analyzed.loss_over_constant.isel(activation=0, sparsity=2).sel(dropout=0)
    assert f"{shown(loss.median()):g}" in numbers and "hostile" in numbers
    head, *rows = saved(page, "#heatmaps .save", 1).splitlines()
    assert (
        head.startswith('activation,sparsity,"loss_over_constant, median",low end')
        and len(rows) == 6
    )
    assert float(rows[2].split(",")[2]) == pytest.approx(float(loss.median()))
    ElementTree.fromstring(saved(page, "#curves .save", 0))
    assert len(saved(page, "#curves .save", 1).splitlines()) == 7
    click(page, ".heatmap button", 2)
    buttons = page.execute_script(
        "return [...document.querySelectorAll('#cell .save')].map((b) => b.ariaLabel)"
    )
    assert len([b for b in buttons if b.endswith("as SVG")]) == 9  # three of three models
    product = saved(page, "#cell .save", 1).splitlines()
    best = jsuper.best(analyzed).sel(activation="relu", sparsity=0.9, dropout=0)
    W = best.W.values
    found = np.array([[float(v) for v in line.split(",")[1:7]] for line in product[1:]])
    np.testing.assert_allclose(found, W.T @ W, atol=1e-5)
    head, *seeds = saved(page, "#cell .save", len(buttons) - 1).splitlines()
    assert head.startswith("seed,loss_over_constant") and len(seeds) == 3


def test_a_slider_shows_the_snapshots_and_the_pointer_reads_numbers(page, analyzed):
    click(page, ".heatmap button", 2)
    best = jsuper.best(analyzed).sel(activation="relu", sparsity=0.9, dropout=0)
    page.execute_script(
        "const input = document.querySelector('.slider input');"
        "input.value = 1; input.dispatchEvent(new Event('input'))"
    )
    assert texts(page, ".slider span")[0] == "weights after step 10"
    W = best.W_snapshots.sel(snapshot_step=10).values
    reading = page.execute_script(
        "const picture = document.querySelector('#cell svg.product');"
        "const box = picture.getBoundingClientRect(), at = (k) => (k + 0.5) / 6 * 240 / 242;"
        "picture.dispatchEvent(new PointerEvent('pointermove', {"
        "  clientX: box.left + at(3) * box.width, clientY: box.top + at(1) * box.height}));"
        "return picture.nextSibling.textContent"
    )
    name, value = reading.split(" = ")
    assert name == "WᵀW[1, 3]"
    assert float(value) == pytest.approx(float(W[:, 1] @ W[:, 3]), rel=1e-3, abs=1e-6)


def test_two_values_of_an_axis_stand_side_by_side_with_the_same_colours(page, analyzed):
    def scales():
        return [t.replace("\xa0", "") for t in texts(page, ".scale")]

    before = scales()
    choose(page, "side by side", "dropout")
    assert texts(page, "#heatmaps figure:first-child h4") == ["dropout 0", "dropout 0.2"]
    cells = texts(page, "#heatmaps figure:first-child td")
    at = {"activation": 0, "sparsity": 2, "dropout": 1}
    assert len(cells) == 12
    assert float(cells[8]) == pytest.approx(shown(analyzed.loss_over_constant[at].median()))
    assert scales() == before
    choose(page, "side by side", "activation")  # which was the rows: dropout takes their place
    assert texts(page, "#heatmaps figure:first-child thead th")[0] == "dropout \\ sparsity"
    choose(page, "side by side", "dropout")
    choose(page, "rows", "dropout")
    choose(page, "side by side", "nothing")
    assert len(texts(page, "#heatmaps figure:first-child td")) == 6 and scales() == before


def test_rows_are_sorted_by_value_by_name_and_by_family(opened, analyzed):
    def rows():
        return texts(browser, "#heatmaps figure:first-child tbody th")

    names = ["tanh", "relu"]
    loss = analyzed.loss_over_constant.copy(data=np.ones(analyzed.loss.shape))
    loss[1] = 0.5
    browser = opened(analyzed.assign_coords(activation=names).assign(loss_over_constant=loss))
    assert rows() == names
    choose(browser, "sort rows", "by name")
    assert rows() == ["relu", "tanh"]
    choose(browser, "sort rows", "by family")
    assert rows() == ["tanh", "relu"]  # bounded, linear pieces
    choose(browser, "sort rows", "by loss_over_constant")
    assert rows() == ["relu", "tanh"]
    click(browser, ".heatmap button", 0)
    assert "activation relu" in texts(browser, "#cell-title")[0]
    click(browser, ".steps button", 1)
    assert "activation relu, sparsity 0.5" in texts(browser, "#cell-title")[0]


def test_means_have_intervals_and_seeds_are_dots(page, analyzed):
    choose(page, "show", "mean")
    own = analyzed.loss_over_constant.isel(activation=0, sparsity=2).sel(dropout=0)
    cell = texts(page, "#heatmaps figure:first-child td")[2]
    assert float(cell) == pytest.approx(shown(own.mean()))
    title = page.execute_script("return document.querySelectorAll('.heatmap button')[2].title")
    half = 4.302653 * float(own.std(ddof=1)) / 3**0.5
    low, high = re.search(r"95 % interval (\S+) to ([^)]+)", title).groups()
    assert float(low) == pytest.approx(float(own.mean()) - half, rel=1e-2, abs=1e-4)
    assert float(high) == pytest.approx(float(own.mean()) + half, rel=1e-2, abs=1e-4)
    choose(page, "in", "a panel each")
    circles = page.execute_script(
        "return document.querySelectorAll('#curves svg:first-of-type circle').length"
    )
    assert circles == 2 * (3 * 3 + 3)  # in both panels, those of seeds and of means


def test_names_as_columns_have_no_line_and_a_spread_no_direction(page):
    def lines():
        return page.execute_script(
            "return document.querySelectorAll('#curves path[stroke-width]').length"
        )

    assert lines() == 2 and "Lower is better" in texts(page, "#curves-note")[0]
    choose(page, "sort rows", "by name")
    choose(page, "rows", "sparsity")
    choose(page, "columns", "activation")
    assert lines() == 0
    assert texts(page, "#heatmaps figure:first-child tbody th") == ["0", "0.5", "0.9"]
    assert "sparsity" in texts(page, "#heatmaps figure:first-child thead th")[0]
    choose(page, "show", "spread over seeds")
    assert "Lower is better" not in texts(page, "#curves-note")[0]
    assert "dots" not in texts(page, "#curves-note")[0]


def test_the_number_of_hidden_units_is_marked_where_features_are_counted(page):
    marks = texts(page, "#heatmaps figure:nth-child(2) .scale")
    assert "4 is beyond it" in marks[0] or "4" in texts(page, "#heatmaps .scale b")


def test_nearly_equal_values_look_equal_and_diverging_scales_are_centred(opened, analyzed):
    near = (analyzed.loss * 0 + 0.5).assign_attrs(analyzed.mean_dimensionality.attrs)
    near[0] = 0.5001
    z = (analyzed.loss * 0 - 1).assign_attrs(analyzed.basis_kurtosis_z.attrs)
    z[0] = 3
    good = (0 * analyzed.loss + 0.3).assign_attrs(analyzed.loss_over_constant.attrs)
    named = {"mean_dimensionality": near, "basis_kurtosis_z": z, "loss_over_constant": good}
    browser = opened(analyzed.assign(named))
    colours = browser.execute_script(
        "return [2, 5].map((k) => [...document.querySelectorAll('#heatmaps figure')[k]"
        ".querySelectorAll('td button')].map((b) => getComputedStyle(b).backgroundColor))"
    )
    (first, *_, last), by_z = (
        [tuple(map(int, re.findall(r"\d+", c))) for c in cells] for cells in colours
    )
    assert max(abs(a - b) for a, b in zip(first, last, strict=True)) <= 3
    assert by_z[0] == (103, 0, 31)  # the largest above 0 has the last red
    assert by_z[-1][2] > by_z[-1][0]  # -1 is blue, and paler
    assert texts(browser, ".scale")[5] == "-103"  # from -1 to 3, with a mark at 0


def many_cells(analyzed, rows=40, columns=40):
    """A sweep over two numbers with rows x columns cells, from models of another."""
    one = analyzed.isel(activation=[0], sparsity=[0], dropout=[0])
    ds = (
        one.isel(sparsity=[0] * columns, dropout=[0] * rows)
        .drop_vars("importance_decay")
        .rename(dropout="importance_decay")
    )
    loss = ds.loss_over_constant.copy(
        data=np.arange(rows * columns * 3.0).reshape(1, columns, rows, 3)
    )
    return ds.assign(loss_over_constant=loss).assign_coords(
        sparsity=np.linspace(0, 0.99, columns), importance_decay=np.linspace(0.1, 1, rows)
    )


def test_a_map_of_many_cells_is_a_square_that_keys_move_in(opened, analyzed):
    ds = many_cells(analyzed)
    browser = opened(ds)
    assert texts(browser, ".heatmap") == []
    area = browser.execute_script(
        "const box = document.querySelector('.large image').getBoundingClientRect();"
        "return [box.width, box.height]"
    )
    assert area[0] == pytest.approx(area[1], rel=0.01) and area[0] > 300
    browser.execute_script("document.querySelector('.large').focus()")
    press(browser, "ArrowRight", "ArrowDown", "ArrowDown")
    expected = float(ds.loss_over_constant[0, 1, 2].median())
    reading = texts(browser, "#heatmaps figure:first-child output")[0]
    decay = f"importance_decay {ds.importance_decay.values[2]}"
    assert reading.startswith(f"activation relu, {decay}") and f": {expected:.5g}" in reading
    press(browser, "Enter")
    assert f"{decay}, sparsity {ds.sparsity.values[1]}" in (texts(browser, "#cell-title")[0])
    assert "1,600 rows" in texts(browser, "#table-note")[0]
    assert len(texts(browser, "#table tbody tr")) == 400
    ElementTree.fromstring(saved(browser, "#heatmaps .save", 0))


@pytest.mark.parametrize("width", [1400, 420])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_from_using_the_page(page, width, scheme):
    """No serious violation that axe-core finds, no sideways scrolling."""
    sized(page, width)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        for cell in (False, True):
            if cell:
                click(page, ".heatmap button", 2)
            axe = Axe(page)
            axe.inject()
            found = axe.run()
            serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
            assert serious == [], axe.report(serious)
            assert len(found["passes"]) > 10
            assert page.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_contents_lead_to_every_section(page):
    links = page.execute_script(
        "return [...document.querySelectorAll('#contents a')].map((a) => a.hash.slice(1))"
    )
    titles = page.execute_script(
        "return [...document.querySelectorAll('header h2, main h2')].map((h) => h.id)"
    )
    assert links == titles and len(links) == 4


def test_there_is_a_curve_for_every_activation(page):
    assert texts(page, "#curves .key") == ["relu", "hostile"]
    choose(page, "in", "a panel each")
    assert [t.split()[0] for t in texts(page, "#curves h3")] == ["relu", "hostile"]
    choose(page, "curves of", "loss")
    assert texts(page, "#curves-note")[0].startswith("loss along sparsity")


def test_hostile_text_is_not_run(opened, analyzed):
    browser = opened(analyzed.assign_coords(activation=["relu", HOSTILE]), HOSTILE)
    click(browser, ".heatmap button", 4)
    assert browser.title == f"{HOSTILE} · jsuper"
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    choose(browser, "in", "a panel each")
    assert [t.strip() for t in texts(browser, "#curves h3")][1].startswith(HOSTILE)


def test_cells_of_failed_fits_are_hatched_and_left_out_of_superposition(opened, analyzed):
    """Two fits of one cell get better at the end, one of another."""
    improvement = 0 * analyzed.loss
    improvement[0, 2, 0, :2], improvement[0, 1, 0, 0] = 0.5, 0.5
    loss = (analyzed.loss_over_constant * 0 + 0.3).assign_attrs(description="words")
    ds = analyzed.assign(
        loss_over_constant=loss, improvement=improvement, improvement_stderr=0 * improvement
    )
    browser = opened(ds)
    for k, name in enumerate(toy.HEADLINES[:2]):
        cells = texts(browser, f"#heatmaps figure:nth-child({k + 1}) td")
        marked = f"#heatmaps figure:nth-child({k + 1}) .failed"
        assert len(texts(browser, marked)) == 1
        own = ds[name].sel(activation="relu", sparsity=0.9, dropout=0)
        own = own[2:] if k else own
        assert float(cells[2]) == pytest.approx(shown(own.median()))
        title = browser.execute_script("return document.querySelector(arguments[0]).title", marked)
        assert "2 failed fits of 3 seeds, median" in title
    assert texts(browser, "#failed-fits li") == [
        "activation relu, sparsity 0.5, dropout 0.0: 1 still improving of 3",
        "activation relu, sparsity 0.9, dropout 0.0: 2 still improving of 3",
    ]
    click(browser, "#heatmaps .failed")
    outcomes = ["ok, still improving", "ok, still improving", "ok"]
    assert texts(browser, ".seeds td:last-child") == outcomes
    assert texts(browser, "#table thead th")[-1] == "failed fits"
