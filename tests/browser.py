"""A page in real headless Chromium, driven over its DevTools protocol: what a person would see, press and find in the console."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
]


class PageChanged(RuntimeError):
    """Chromium dropped what it was asked, since the page went away meanwhile."""


class Tab:
    """One tab; `complaints` collects exceptions, console errors, policy violations and every request that is not the file itself."""

    def __init__(self, address: str) -> None:
        self._socket = connect(address, max_size=None)
        self._n = 0
        self.complaints: list[str] = []
        self.patience_s = 20.0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._n += 1
        self._socket.send(json.dumps({"id": self._n, "method": method, "params": params}))
        while True:
            message = self._next(self.patience_s)
            if message.get("id") == self._n:
                if "error" in message:
                    raise (PageChanged if message["error"]["code"] == -32000 else RuntimeError)(f"{method}: {message['error']}")
                return message["result"]

    def open(self, url: str, *, width_px: int = 1280, height_px: int = 900, dark: bool = False) -> None:
        """Load a page in a window of this size and wait until it has run."""
        self.call("Emulation.setDeviceMetricsOverride", width=width_px, height=height_px, deviceScaleFactor=1, mobile=width_px < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)
        self.wait_for("location.href !== 'about:blank' && document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']['exception'].get('description')}")
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript condition holds, in this page or the next: observers and scroll events come a frame or more after what calls for them."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with suppress(PageChanged):
                if self.value(condition):
                    return
            time.sleep(0.05)
        raise TimeoutError(condition)

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **(text if kind == "keyDown" else {}))

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))

    def close(self) -> None:
        self._socket.close()

    def _next(self, timeout_s: float) -> dict[str, Any]:
        message = json.loads(self._socket.recv(timeout=timeout_s))
        what, params = message.get("method"), message.get("params", {})
        if what == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {params['exceptionDetails']['exception'].get('description')}")
        elif what == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(f"console: {params['args']}")
        elif what == "Log.entryAdded":
            self.complaints.append(f"log: {params['entry']['text']}")
        elif what == "Network.requestWillBeSent" and not params["request"]["url"].startswith(("file:", "data:", "about:")):
            self.complaints.append(f"request: {params['request']['url']}")
        return message


@contextmanager
def chromium_tab() -> Iterator[Tab]:
    """A tab in a fresh Chromium, which ends with the block."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen([CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            tab = Tab(_address_of_tab(Path(profile), browser))
            try:
                yield tab
            finally:
                tab.close()
        finally:
            browser.terminate()
            try:
                browser.wait(10)
            except subprocess.TimeoutExpired:
                browser.kill()
                browser.wait()


def _address_of_tab(profile: Path, browser: subprocess.Popen[bytes]) -> str:
    port_file, until = profile / "DevToolsActivePort", time.monotonic() + 30
    while time.monotonic() < until and browser.poll() is None:
        if port_file.exists() and (lines := port_file.read_text().splitlines()):
            with urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=10) as answer:
                tabs = [t for t in json.load(answer) if t["type"] == "page"]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
        time.sleep(0.1)
    raise RuntimeError(f"{CHROMIUM} did not open its debugging port (exit code {browser.poll()})")
