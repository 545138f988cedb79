"""ComfyUI's real page in a headless browser: opened on a server, and what a workflow needs there measured."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from .comfy_server import ComfyServer

SETTINGS = {  # no tutorial, no map, words on the nodes however small the graph is drawn, and no workflow of before
    "Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False, "LiteGraph.Canvas.MinFontSizeForLOD": 0,
    "Comfy.Workflow.Persist": False,
}  # fmt: skip
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]  # fmt: skip
# with the nodes known, and the workflow that it opens by itself open: it would take the place of a later one
READY = """() => window.app && app.graph && Object.keys(LiteGraph.registered_node_types).length > 100
  && !app.extensionManager?.spinner && app.extensionManager?.workflow?.activeWorkflow?.isLoaded"""
TALL = (720, 1280)  # a phone's film
TALL_PICTURE, TALL_FILM = "tall_result.png", "tall_result.mp4"
STYLES = {"classic": False, "Nodes 2.0": True}  # what the setting Comfy.VueNodes.Enabled is

# What a run leaves on the nodes: results, live previews, and the lines that our nodes say.
SHOW_RESULTS = """
async ([film, picture, said]) => {
  const blob = await (await fetch(app.api.apiURL(`/view?filename=${picture}&type=output`))).blob();
  for (const node of app.graph._nodes) {
    const id = String(node.id);
    const images = {
      SaveVideo: [film], PreviewImage: [picture], MaskPreview: [picture], SaveImage: [picture],
      TalkingPortraitExpressionEditor: [picture], TalkingPortraitPlotFaceMotion: [picture],
    }[node.type];
    if (images) {
      const found = images.map((filename) => ({ filename, subfolder: '', type: 'output' }));
      const output = { images: found, ...(node.type === 'SaveVideo' ? { animated: [true] } : {}) };
      app.api.dispatchCustomEvent('executed', { node: id, display_node: id, output, prompt_id: 'shown' });
    }
    if (['TalkingPortraitRenderVideo', 'TalkingPortraitRender', 'TalkingPortraitStream'].includes(node.type)) {
      app.api.dispatchCustomEvent('b_preview_with_metadata', {
        blob, nodeId: id, displayNodeId: id, parentNodeId: id, realNodeId: id, promptId: 'shown', jobId: 'shown',
      });
    }
    if (said[node.type]) app.api.dispatchCustomEvent('progress_text', { nodeId: id, text: said[node.type] });
  }
}
"""
SAID = {
    "TalkingPortraitRenderVideo": "186 frames (7.4 s at 25 fps): about 12 s more",
    "TalkingPortraitStream": "186 frames (7.4 s at 25 fps): about 12 s more",
    "TalkingPortraitPrepare": "3024x4032 drawn at 960x1280 (max_size 1280)",
}
SIZES = """
() => {
  const context = app.canvas.ctx ?? app.canvas.canvas.getContext('2d');
  const found = {};
  for (const node of app.graph._nodes) {
    context.font = node.titleFontStyle;
    const title = node.type === 'MarkdownNote' ? 0 : context.measureText(node.getTitle()).width + 62;
    const box = document.querySelector(`[data-node-id="${node.id}"]`);
    const text = node.type !== 'MarkdownNote' ? 0 : noteHeight(node, box);
    const drawn = box ? box.getBoundingClientRect().height / app.canvas.ds.scale - LiteGraph.NODE_TITLE_HEIGHT : 0;
    found[node.id] = {
      x: node.pos[0], y: node.pos[1], width: node.size[0], height: Math.max(node.size[1], text, drawn), title,
      drawn: Boolean(box),
      type: node.type, name: node.getTitle(),
    };
  }
  return found;

  function noteHeight(node, box) {
    const shown = box ?? node.widgets[0].element;
    const text = shown?.querySelector('.comfy-markdown-content, .tiptap, .ProseMirror');
    return text ? text.scrollHeight + 30 : 0;
  }
}
"""
FRAMES = """() => app.graph._groups.map(
  (g) => ({ title: g.title, x: g.pos[0], y: g.pos[1], width: g.size[0], height: g.size[1] })
)"""


@contextmanager
def open_page(server: ComfyServer, playwright: Any = None) -> Iterator[Any]:
    """The page, ready to load a workflow. `playwright` is the one that runs already: a process can start no second."""
    from playwright.sync_api import sync_playwright

    server.post("/settings", SETTINGS)
    profile = tempfile.mkdtemp(prefix="talking-portrait-page-")
    with nullcontext(playwright) if playwright else sync_playwright() as driver:
        browser = driver.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            args=CHROMIUM_FLAGS,
            viewport={"width": 1600, "height": 1000},
        )
        page = browser.pages[0]
        page.set_default_timeout(120_000)
        load_page(page, server)
        yield page
        browser.close()
    shutil.rmtree(profile, ignore_errors=True)


def load_page(page: Any, server: ComfyServer) -> None:
    """Load the page into a tab and wait until it can load a workflow."""
    page.goto(server.url, wait_until="domcontentloaded")
    page.wait_for_function(READY)


def write_tall_results(output: Path) -> None:
    """A 9:16 picture and a film in a server's output folder, for SHOW_RESULTS."""
    output.mkdir(parents=True, exist_ok=True)
    width, height = TALL
    picture = np.full((height, width, 3), 128, np.uint8)
    Image.fromarray(picture).save(output / TALL_PICTURE)
    with av.open(str(output / TALL_FILM), "w") as container:
        stream = container.add_stream("h264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def settled(page: Any, style: str) -> dict[str, dict[str, Any]]:
    """What `measured` says as soon as it says the same twice, with every node drawn in that style."""
    before: dict[str, dict[str, Any]] = {}
    for _ in range(240):
        page.wait_for_timeout(100)
        now = measured(page)
        if now == before and all(node["drawn"] == STYLES[style] for node in now.values()):
            return now
        before = now
    raise RuntimeError(f"the page does not come to rest in the style {style}")


def choose_style(page: Any, style: str) -> None:
    """Draw nodes in one of STYLES from now on."""
    page.evaluate(
        "async (on) => { await app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', on) }",
        STYLES[style],
    )


def show_results(page: Any) -> None:
    """Put 9:16 results on all nodes of the graph that show any, as a run would; see write_tall_results."""
    page.evaluate(SHOW_RESULTS, [TALL_FILM, TALL_PICTURE, SAID])
    page.wait_for_timeout(200)


def measured(page: Any) -> dict[str, dict[str, Any]]:
    """Every node by its id: x, y, width, height without title; `title` is the width that its title needs."""
    return page.evaluate(SIZES)


def without_nulls(graph: Any) -> Any:
    """A graph without what says nothing: where the page writes null some of its versions read a list. Links stay."""
    if isinstance(graph, dict):
        return {
            key: without_nulls(value)
            for key, value in graph.items()
            if value is not None or key in ("link", "links")
        }
    return [without_nulls(value) for value in graph] if isinstance(graph, list) else graph
