"""What every test shares: one real ComfyUI server and one real page, started when first needed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Unit tests use ComfyUI's modules in this process; without this they would look for an NVIDIA driver.
import comfy.cli_args
import pytest
import torch

comfy.cli_args.args.cpu = not torch.cuda.is_available()
torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(__file__).resolve().parent / "data"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files stay whole, and all that run in the server go to one process: the other starts no second server."""
    from xdist.scheduler import LoadFileScheduling

    class OneServer(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "tests/server" if file.startswith("tests/server/") else file

    return OneServer(config, log)


@pytest.fixture(scope="session")
def models() -> Iterator[Path]:
    """The models folder that the server and the tests of nodes share."""
    folder = Path(tempfile.mkdtemp(prefix="talking-portrait-models-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[Any]:
    """One real ComfyUI server with this pack and the test-only probe pack."""
    from talking_portrait.tools.comfy_server import ComfyServer

    packs = {"probe_pack": DATA / "probe_pack", "engine_pack": ROOT / "docs" / "engine_pack"}
    # The folder is called as an archive of the repository unpacks; nothing may depend on its name.
    with ComfyServer(
        Path(os.environ["COMFYUI_PATH"]), packs, models=models, folder="talking-portrait-main"
    ) as running:
        running.models = models
        yield running


@pytest.fixture(scope="session")
def random_weights(models: Path) -> Path:
    """LivePortrait's and KDTalker's files, small and of random numbers; gives the models folder."""
    from talking_portrait.tools.random_weights import write

    write(models, small=True)
    return models


@pytest.fixture(scope="session")
def actalker_weights(models: Path) -> Path:
    """ACTalker's files with random numbers, the denoiser a small one; gives the models folder."""
    from talking_portrait.tools.random_actalker import write

    write(models, channels=64, context=64)
    return models


@pytest.fixture(scope="session")
def fantasytalking_weights(models: Path) -> Path:
    """FantasyTalking's files with random numbers for a tiny Wan, and that Wan; gives the models folder."""
    from talking_portrait.tools.random_fantasytalking import write

    write(models)
    return models


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """What drives Chromium, once for all pages; skips where no Chromium is, and CI must have one."""
    from playwright.sync_api import sync_playwright
    from talking_portrait.tools.graph_page import CHROMIUM

    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("there is no Chromium, and CI must test the real page")
        pytest.skip("there is no Chromium on this machine; the page was not tested")
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def tab(playwright: Any, server: Any) -> Iterator[Any]:
    """ComfyUI's real page in headless Chromium."""
    from talking_portrait.tools.graph_page import open_page

    with open_page(server, playwright) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tab: Any, server: Any) -> Iterator[Any]:
    """The page, ready to load a workflow; an empty one between modules, for a page in sight is always being drawn."""
    from talking_portrait.tools.graph_page import load_page

    if tab.url == "about:blank":
        load_page(tab, server)
    yield tab
    tab.goto("about:blank")
