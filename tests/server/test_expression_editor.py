"""The expression editor in the real page, in both node styles: the face follows a slider while it is dragged."""

import numpy as np
import pytest
from talking_portrait.models.liveportrait.expression_sliders import SLIDERS, TURNS

pytestmark = pytest.mark.slow

NODE = "TalkingPortraitExpressionEditor"
NAMES = (*SLIDERS, *TURNS)
REST = {"copy_amount": 1.0, "keyframes": "", "fps": 0.0}
PORTRAIT = "talking_portrait_astronaut.png"
LOAD = "async (prompt) => { await app.loadApiJson(prompt, 'editor') }"
SHOW = """() => {
  const node = app.graph._nodes.find((one) => one.comfyClass === 'TalkingPortraitExpressionEditor');
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [120 - node.pos[0], 120 - node.pos[1]];
  app.canvas.setDirty(true, true);
}"""
FACE = """() => {
  const face = document.querySelector('.tp-seen .tp-face');
  const { data } = face.getContext('2d').getImageData(0, 0, face.width, face.height);
  return Array.from(data.filter((_, index) => index % 29 === 0));
}"""
SAVED = f"() => app.graph.serialize().nodes.find((one) => one.type === '{NODE}')"
SENT = f"""async () => {{
  const sent = Object.values((await app.graphToPrompt()).output);
  return sent.find((one) => one.class_type === '{NODE}').inputs;
}}"""


def prompt(**given) -> dict:
    """A picture, its face, and the editor."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": PORTRAIT}},
        "2": {"class_type": "TalkingPortraitLoadFaceDetector", "inputs": {}},
        "3": {
            "class_type": "MediaPipeFaceLandmarker",
            "inputs": {
                "face_detection_model": ["2", 0], "image": ["1", 0], "detector_variant": "both", "num_faces": 1,
                "min_confidence": 0.5, "missing_frame_fallback": "empty",
            },
        },
        "4": {"class_type": "TalkingPortraitLoadRenderer", "inputs": {"renderer": "built-in warp"}},
        "5": {
            "class_type": "TalkingPortraitPrepare",
            "inputs": {"renderer": ["4", 0], "image": ["1", 0], "face_landmarks": ["3", 0], "face_index": 0},
        },
        "6": {"class_type": NODE, "inputs": {"portrait": ["5", 0], **dict.fromkeys(NAMES, 0.0), **REST, **given}},
    }  # fmt: skip


@pytest.fixture(params=[False, True], ids=["LiteGraph", "Nodes 2.0"])
def editor(request, page):
    """The page with the editor after a run, in one of the node styles."""
    choose = "(on) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)"
    page.evaluate(choose, request.param)
    page.evaluate(LOAD, prompt())
    page.evaluate(SHOW)
    page.locator(".tp-range").nth(11).wait_for()
    page.evaluate("() => app.queuePrompt(0, 1)")
    page.wait_for_selector(".tp-seen .tp-face")
    page.wait_for_function("() => document.querySelectorAll('.tp-drawn').length === 10")
    yield page
    page.evaluate("() => app.graph.clear()")
    page.evaluate(choose, False)


def settled(page, old: np.ndarray | None = None) -> np.ndarray:
    """The face when no newer picture comes any more; first, it is another than `old`."""
    before = page.evaluate(FACE)
    for _ in range(100):
        if old is None or (np.asarray(before) != old).any():
            break
        page.wait_for_timeout(100)
        before = page.evaluate(FACE)
    for _ in range(100):
        page.wait_for_timeout(150)
        if (now := page.evaluate(FACE)) == before:
            return np.asarray(now, np.float32)
        before = now
    raise AssertionError("the face never came to rest")


def test_the_face_follows_a_slider_while_it_is_dragged(editor):
    page = editor
    slider = page.locator(".tp-range[aria-label='Open']")
    place = slider.bounding_box()
    start, y = place["x"] + 6.5 + 0.2 * (place["width"] - 13), place["y"] + place["height"] / 2
    faces = [settled(page)]
    page.mouse.move(start, y)
    page.mouse.down()
    for to in (0.4, 0.6):
        page.mouse.move(place["x"] + to * place["width"], y, steps=6)
        faces.append(settled(page, faces[-1]))  # the button is still down
    page.mouse.up()
    moved = [np.abs(face - faces[0]).mean() for face in faces]
    assert 1 < moved[1] < moved[2]

    page.get_by_role("button", name="wink", exact=True).click()
    sent = page.evaluate(SENT)
    assert sent["wink_left"] == 24 and sent["aaa"] == 0
    page.get_by_role("button", name="+ Keyframe").click()
    page.locator(".tp-line").click(position={"x": 120, "y": 12})
    page.get_by_role("button", name="as it is", exact=True).click()
    page.get_by_role("button", name="+ Keyframe").click()
    saved, sent = page.evaluate(SAVED), page.evaluate(SENT)
    assert (
        sent["keyframes"].startswith("0: smile=0.5, wink_left=24")
        and len(sent["keyframes"].splitlines()) == 2
    )
    assert saved["widgets_values"] == [sent[name] for name in (*NAMES, *REST)]
    page.get_by_role("button", name="Remove").click()
    assert len(page.evaluate(SENT)["keyframes"].splitlines()) == 1


def test_it_stays_as_wide_as_its_node_where_the_page_sets_another_width(page):
    """As the panel beside the graph does, which shows the widgets of a selected node."""
    page.evaluate(LOAD, prompt())
    page.evaluate(SHOW)
    page.locator(".tp-range").nth(11).wait_for()
    page.evaluate(f"""() => {{
      const node = app.graph._nodes.find((one) => one.comfyClass === '{NODE}');
      node.widgets.find((one) => one.name === 'expression_editor').width = 200;
      app.canvas.setDirty(true, true);
    }}""")
    page.wait_for_timeout(500)
    assert page.locator(".tp-editor").bounding_box()["width"] > 400
    page.evaluate("() => app.graph.clear()")


@pytest.mark.slow
def test_a_workflow_that_was_saved_before_the_editor_still_loads(page):
    page.evaluate(LOAD, prompt(aaa=40.0, roll=3.0))
    graph = page.evaluate("() => app.graph.serialize()")
    (node,) = (one for one in graph["nodes"] if one["type"] == NODE)
    node["widgets_values"] = node["widgets_values"][: len(NAMES)]
    node["inputs"] = [put for put in node["inputs"] if put["name"] in ("portrait", "face_motion", *NAMES)]
    page.evaluate("async (graph) => { await app.loadGraphData(graph) }", graph)
    sent = page.evaluate(SENT)
    assert (sent["aaa"], sent["roll"], sent["keyframes"], sent["fps"]) == (40, 3, "", 0)
    page.evaluate("() => app.graph.clear()")
