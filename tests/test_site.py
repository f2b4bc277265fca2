"""The script with which the site's search works in pages that are opened as files."""

import browsing
from running import REPO

SCRIPT = "assets/iframe-worker.js"
PAGE = """<!doctype html><title>page</title><script src="{shim}"></script><script>
const worker = new Worker("worker.js");
const answers = []; // in any order
worker.addEventListener("message", (event) => {{
  answers.push(event.data.answer);
  document.title = answers.sort().join(", ");
}});
worker.postMessage({{ number: 20 }});
worker.postMessage({{ number: 21 }});
</script>"""
WORKER = """addEventListener("message", async (event) => {
  await importScripts("more.js");
  postMessage({ answer: "twice: " + twice(event.data.number) });
});"""


def test_a_worker_answers_in_a_page_opened_as_a_file(tmp_path):
    shim = (REPO / "docs" / SCRIPT).as_uri()
    (tmp_path / "page.html").write_text(PAGE.format(shim=shim), encoding="utf-8")
    (tmp_path / "worker.js").write_text(WORKER, encoding="utf-8")
    (tmp_path / "more.js").write_text("function twice(x) { return 2 * x; }", encoding="utf-8")
    driver = browsing.started(tmp_path / "profile")
    try:
        driver.get((tmp_path / "page.html").as_uri())
        browsing.until(driver, lambda page: page.title == "twice: 40, twice: 42")
        assert driver.get_log("browser") == []
    finally:
        driver.quit()


def test_the_site_loads_no_script_from_elsewhere():
    text = (REPO / "mkdocs.yml").read_text(encoding="utf-8")
    assert f"polyfills: [{SCRIPT}]" in text  # else the plugin `offline` adds one of unpkg.com
