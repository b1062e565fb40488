"""A page in a real browser: Chromium without a screen and without a network, driven by Selenium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

PHONE, DESKTOP = 390, 1280
#: What text needs to be readable (WCAG 2.2, level AA, small text).
READABLE = 4.5
#: Elements with text of their own whose colour is too near to what lies behind it: [[ratio, text], ...].
FAINT = """
const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
const light = (c) => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
const ground = (e) => {
  for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0.99) return c;
  }
  return [255, 255, 255];
};
const seen = [];
for (const e of document.body.querySelectorAll("*")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.getClientRects().length) continue;
  const style = getComputedStyle(e), drawn = e instanceof SVGElement;
  const [a, b] = [light(parse(drawn ? style.fill : style.color)), light(ground(e))].sort((x, y) => y - x);
  seen.push([(a + 0.05) / (b + 0.05), e.textContent.trim().slice(0, 60)]);
}
return seen.sort((x, y) => x[0] - y[0]);
"""


def program(*names: str) -> str:
    """Return where one of some programs is; a test without a browser would prove nothing."""
    found = next(filter(None, map(shutil.which, names)), None)
    assert found, f"none of {', '.join(names)} is installed: apt-get install chromium chromium-driver"
    return found


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Give a browser that has no network and notes every request and every line of its console."""
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "google-chrome")
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(program("chromedriver")))
    try:
        driver.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        yield driver
    finally:
        driver.quit()


def show(driver: webdriver.Chrome, page: Path, width: int, scheme: str) -> None:
    """Load a page at a width, in light or dark."""
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < DESKTOP}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    driver.get(page.as_uri())


def asked(driver: webdriver.Chrome) -> set[str]:
    """Return the addresses that the browser asked for since the last look."""
    log: list[dict[str, Any]] = driver.get_log("performance")  # type: ignore[no-untyped-call]  # selenium leaves it untyped
    events = [json.loads(entry["message"])["message"] for entry in log]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return {str(one["request"]["url"]) for one in sent}


def complaints(driver: webdriver.Chrome) -> list[str]:
    """Return what the console says since the last look."""
    log: list[dict[str, Any]] = driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium leaves it untyped
    return [str(entry["message"]) for entry in log]


def colour(driver: webdriver.Chrome, selector: str, name: str) -> list[float]:
    """Return a computed colour of an element as red, green, blue."""
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]].match(/[\\d.]+/g).map(Number)"
    found: list[float] = driver.execute_script(script, selector, name)[:3]
    return found


def script(driver: webdriver.Chrome, text: str) -> Any:
    """Return what an expression gives in the page."""
    return driver.execute_script(f"return {text}")
