"""No graph whose nodes cover each other: every shipped workflow in the real page, in both styles, with tall results."""

import json
from pathlib import Path

import pytest
from talking_portrait.tools.graph_page import (
    FRAMES,
    STYLES,
    choose_style,
    measured,
    settled,
    show_results,
    write_tall_results,
)
from talking_portrait.tools.layout import TITLE, Rect, overlaps

from .test_workflows import WORKFLOWS, the_first_is_quick

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=STYLES)
def style(request, server, page):
    write_tall_results(server.base / "output")
    choose_style(page, request.param)
    yield request.param
    choose_style(page, "classic")


def full(node: dict) -> Rect:
    return Rect(node["x"], node["y"] - TITLE, node["width"], node["height"] + TITLE)


@pytest.mark.parametrize("path", the_first_is_quick(WORKFLOWS))
def test_nothing_covers_anything(page, style, path):
    graph = json.loads(Path(path).read_text())
    page.evaluate("async (g) => { app.nodeOutputs = {}; await app.loadGraphData(g) }", graph)
    nodes = measured(page).values()
    assert not [node["name"] for node in nodes if node["title"] > node["width"]], "titles are cut"
    show_results(page)
    nodes = settled(page, style)
    boxes = {
        f"{key} {node['name']}": Rect(*(node[side] for side in ("x", "y", "width", "height")))
        for key, node in nodes.items()
    }
    assert not overlaps(boxes)
    frames = [
        Rect(frame["x"], frame["y"], frame["width"], frame["height"]) for frame in page.evaluate(FRAMES)
    ]
    for node in nodes.values():
        box = full(node)
        for frame in frames:
            inside = (
                frame.x <= box.x
                and frame.y <= box.y
                and box.right <= frame.right
                and box.bottom <= frame.bottom
            )
            assert inside or not frame.meets(box), f"{node['name']} stands half in a frame"
