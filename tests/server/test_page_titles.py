"""Every node of the pack, added to the page as its search adds it: nothing of its title is cut."""

import pytest

pytestmark = pytest.mark.slow

NODES = """() => Object.keys(LiteGraph.registered_node_types).filter((type) => type.startsWith("TalkingPortrait"))"""
ADD = """(types) => {
  app.graph.clear();
  types.forEach((type, number) => {
    const node = LiteGraph.createNode(type);
    node.pos = [900 * (number % 8), 1400 * Math.floor(number / 8)];
    app.graph.add(node);
  });
}"""
# What the canvas writes where a node stands: the page shortens titles as it draws them.
DRAWN = """() => app.graph.nodes.map((node) => {
  const written = [];
  const own = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    written.push(text);
    return own.call(this, text, ...rest);
  };
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [200 - node.pos[0], 200 - node.pos[1]];
  app.canvas.draw(true, true);
  CanvasRenderingContext2D.prototype.fillText = own;
  return [node.title, written.includes(node.title), Math.round(node.size[0])];
})"""
VUE = """async (on) => {
  await app.extensionManager.setting.set("Comfy.VueNodes.Enabled", on);
  await new Promise((done) => setTimeout(done, 500));
}"""
SHOW = """(number) => {
  const node = app.graph.nodes[number];
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [200 - node.pos[0], 200 - node.pos[1]];
  app.canvas.setDirty(true, true);
  return node.id;
}"""
MEASURED = """(id) => {
  const title = document.querySelector(`[data-node-id="${id}"] [data-testid="node-title"]`);
  if (!title?.clientWidth) return null;
  const parts = [title, ...title.querySelectorAll("*")];
  return [title.textContent.trim(), parts.every((part) => part.scrollWidth <= part.clientWidth + 1), title.clientWidth];
}"""


@pytest.fixture
def nodes(page):
    """Types of all our nodes, each of them in the page."""
    types = page.evaluate(NODES)
    assert len(types) > 40
    page.evaluate(ADD, types)
    yield types
    page.evaluate("() => app.graph.clear()")


def test_no_title_is_cut_on_the_canvas(page, nodes):
    drawn = page.evaluate(DRAWN)
    assert len(drawn) == len(nodes)
    assert not [title for title, whole, _ in drawn if not whole], drawn


def test_no_title_is_cut_in_nodes_2(page, nodes):
    page.evaluate(VUE, True)
    try:
        page.evaluate(ADD, nodes)
        cut = []
        for number in range(len(nodes)):
            seen = page.wait_for_function(MEASURED, arg=page.evaluate(SHOW, number)).json_value()
            if not seen[1]:
                cut.append(seen)
        assert not cut
    finally:
        page.evaluate(VUE, False)


def test_a_node_of_a_workflow_keeps_the_width_that_it_was_saved_with(page, nodes):
    width = page.evaluate(
        """() => {
          const saved = app.graph.serialize();
          for (const node of saved.nodes) node.size = [700, 400];
          app.graph.configure(saved);
          return app.graph.nodes.map((node) => node.size[0]);
        }"""
    )
    assert set(width) == {700}
