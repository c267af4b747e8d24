"""For every test: its own cache, and a browser where there is one."""

import os
import runpy
import shutil
import signal
import sys
from pathlib import Path

import libraries
import pytest

ROOT = Path(__file__).parents[1]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ONE_THREAD = ("api", "callbacks", "compiler", "optimizer", "runtime", "trust")
sys.meta_path.insert(0, libraries.OPERATORS)  # a torchvision that was built for CUDA
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background of a shell: its children ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("BBI_VERIFY", "1")  # the invariants of every stage, in processes that tests start too
CHROMIUM = runpy.run_path(str(ROOT / "scripts" / "chromium.py"))


@pytest.fixture(autouse=True)
def one_thread(request):
    """For tests of small networks: the machines that run them share their cores."""
    if request.path.parent.name not in ONE_THREAD:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SHARE_THEIR_CACHE = {  # folder -> why
    "gallery": "pages of a real network, whose icons take minutes, drawn by many tests",
    "docs": "the same pages, on the documentation's site",
    "notebook": "each notebook is a process of its own",
    "preview": "a server of a page lives for several tests",
}


@pytest.fixture(autouse=True)
def cache_of_the_test(request, cache_of_the_tests, tmp_path_factory, monkeypatch):
    """What one test computed is not there for the next, which may or may not come after it: each has a cache of its
    own, but for the folders that say why they share one. Vega's libraries, two seconds' work, are kept for all."""
    if request.path.parent.name in SHARE_THEIR_CACHE:
        yield cache_of_the_tests
        return
    own = tmp_path_factory.mktemp("cache", numbered=True)
    for library in cache_of_the_tests.glob("vega-*.js"):
        shutil.copy(library, own)
    monkeypatch.setenv("BBI_CACHE_DIR", str(own))
    yield own
    for library in own.glob("vega-*.js"):
        if not (cache_of_the_tests / library.name).exists():
            cache_of_the_tests.mkdir(parents=True, exist_ok=True)
            partial = cache_of_the_tests / f"{library.name}.{os.getpid()}"
            shutil.copy(library, partial)
            partial.replace(cache_of_the_tests / library.name)
    shutil.rmtree(own, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """Outside of the user's folder, and one for all workers: for fixtures that serve several tests."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "bbilang-cache"
    before = os.environ.get("BBI_CACHE_DIR")
    os.environ["BBI_CACHE_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["BBI_CACHE_DIR"]
    else:
        os.environ["BBI_CACHE_DIR"] = before


@pytest.fixture(scope="session")
def chromium():
    """One headless browser of Playwright's for the session; where there is none to start, its tests are skipped with
    the line that says what to install."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="without the test extra")
    path = CHROMIUM["find"]()
    if path is None:
        pytest.skip(CHROMIUM["MISSING"])
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def pytest_terminal_summary(terminalreporter):
    """How much was fuzzed, over all workers."""
    counts: dict[str, int] = {}
    for report in terminalreporter.stats.get("", []):  # setups and teardowns
        for name, value in report.user_properties if report.when == "teardown" else ():
            if str(name).startswith("fuzzed "):
                counts[name] = counts.get(name, 0) + value
    if counts:
        terminalreporter.write_line(", ".join(f"{name} {count:,}" for name, count in counts.items()))
