"""Reading and clicking a page in a real browser, for the tests of the report."""

import shutil

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


def started(home):
    """A driver of a headless browser, whose profile is in the folder `home`."""
    if BROWSER is None or DRIVER is None:
        pytest.skip("no browser: install Debian's packages chromium and chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={home}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(DRIVER))


def visit(page, path, fragment=""):
    """Open a file and wait until its scripts have run; `get` may return earlier."""
    url = path.as_uri() + fragment
    page.get(url)
    is_there = "return document.readyState === 'complete' && location.href === arguments[0]"
    until(page, lambda page: page.execute_script(is_there, url))


def texts(page, selector):
    """The text of every element."""
    return page.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
    )


def click(page, selector, position=0):
    """Click one of the elements."""
    page.execute_script(
        "document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, position
    )


def choose(page, label, value):
    """Choose a value in the control with this label."""
    page.execute_script(
        "const select = [...document.querySelectorAll('#controls label')]"
        ".find((l) => l.firstChild.textContent.trim() === arguments[0]).querySelector('select');"
        "select.value = arguments[1]; select.dispatchEvent(new Event('change'))",
        label,
        value,
    )


def press(page, *keys):
    """Send keys to the focused element, as a user's keyboard does without moving the focus."""
    page.execute_script(
        "for (const key of arguments) document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}))",
        *keys,
    )


def until(page, condition):
    """Wait for what comes a moment after a click."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(page, 20).until(condition)


def saved(page, selector, position=0):
    """The text of the file that a button saves."""
    page.execute_script(
        "window.saved = []; URL.createObjectURL = (b) => { b.text().then((t) => saved.push(t));"
        " return 'data:,'; }"
    )
    click(page, selector, position)
    return until(page, lambda p: p.execute_script("return saved[0]"))


def sized(page, width, height=900):
    """Show the page in a window of this width, as a phone does below 700 pixels."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
