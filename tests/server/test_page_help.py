"""Help pages in the real page: each opened as an artist does, in a strip of 300 pixels."""

import pytest

from ..nodes.test_documents import HELP

STRIP = 300  # pixels
INFO = '[data-testid="info-button"]'
ALONE = """(type) => {
  app.graph.clear();
  const node = LiteGraph.createNode(type);
  node.pos = [500, 200];
  app.graph.add(node);
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [0, 0];
  app.canvas.selectNode(node);
  app.canvas.setDirty(true, true);
  return node.title;
}"""
LOADED = """(title) => {
  const page = document.querySelector(".node-help-content");
  const pictures = [...(page?.querySelectorAll("img") ?? [])];
  return page?.querySelector("h1")?.textContent === title && pictures.every((one) => one.complete);
}"""
FOUND = """() => {
  const page = document.querySelector(".node-help-content");
  const right = page.getBoundingClientRect().right + 1;
  const boxes = (part) => [...part.getClientRects()];
  const over = [...page.querySelectorAll("*")].filter((part) => boxes(part).some((box) => box.right > right));
  return {
    pictures: [...page.querySelectorAll("img")].map((one) => [new URL(one.src).pathname, one.naturalWidth]),
    width: page.clientWidth,
    tables: page.querySelectorAll("table").length,
    over: over.map((part) => part.outerHTML.slice(0, 200)),
  };
}"""


def selected(page, node) -> str:
    """Make a node the only one of the graph and select it; its title. A page that has just opened may miss it once."""
    for _ in range(100):
        title = page.evaluate(ALONE, node)
        page.wait_for_timeout(300)
        if page.query_selector(INFO):
            return title
    raise AssertionError("no (i) button comes up where a node is selected")


def check_help(page, server, node):
    """Press (i) and look at what is shown."""
    title = selected(page, node)
    page.click(INFO)
    page.wait_for_function(LOADED, arg=title)
    found = page.evaluate(FOUND)
    ((address, width),) = found["pictures"]
    assert address == f"/extensions/{server.folder}/docs/{node}.jpg" and width > 0
    assert found["width"] <= STRIP and not found["tables"] and not found["over"]


@pytest.fixture
def graph(page):
    yield page
    page.evaluate("() => app.graph.clear()")


def test_the_help_of_a_node_shows_its_picture_and_fits_its_strip(graph, server):
    check_help(graph, server, "TalkingPortraitGenerateMotion")


@pytest.mark.slow
@pytest.mark.parametrize("node", [path.stem for path in HELP])
def test_every_help_page_does(graph, server, node):
    check_help(graph, server, node)
