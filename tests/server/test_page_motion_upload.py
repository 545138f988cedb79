"""Load Face Motion in the page: its menu, its button, a file dropped onto it, and a workflow from before the menu."""

from pathlib import Path

import pytest
from talking_portrait.models.face_motion.storage import save_any

from ..models.motion_samples import change

pytestmark = pytest.mark.slow

ADD = """() => {
  app.graph.clear();
  const load = LiteGraph.createNode("TalkingPortraitLoadFaceMotion");
  const plot = LiteGraph.createNode("TalkingPortraitPlotFaceMotion");
  load.pos = [200, 200];
  plot.pos = [700, 200];
  app.graph.add(load);
  app.graph.add(plot);
  load.connect(0, plot, 0);
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [0, 0];
  app.canvas.draw(true, true);
}"""
VALUES = """() => Object.fromEntries(  // but for the page's own, such as a preview that it adds when it likes
  app.graph.nodes[0].widgets.filter((one) => !one.name.startsWith('$$')).map((one) => [one.name, one.value])
)"""
DROP = """async ([name, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name));
  const node = app.graph.nodes[0];
  const [left, top] = app.canvas.convertOffsetToCanvas([node.pos[0] + 40, node.pos[1] + 20]);
  const place = app.canvas.canvas.getBoundingClientRect();
  const point = { clientX: place.left + left, clientY: place.top + top };
  const at = { ...point, dataTransfer: files, bubbles: true, cancelable: true };
  for (const kind of ["dragenter", "dragover", "drop"]) {
    app.canvas.canvas.dispatchEvent(new DragEvent(kind, at));
    await new Promise((done) => setTimeout(done, 200));
  }
}"""
# The page's own drop, on what shows the node.
DROP_HERE = """async ([name, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name));
  const shown = document.querySelector(`[data-node-id="${app.graph.nodes[0].id}"]`);
  for (const kind of ["dragenter", "dragover", "drop"]) {
    shown.dispatchEvent(new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true }));
    await new Promise((done) => setTimeout(done, 200));
  }
}"""
PRESS = "() => app.graph.nodes[0].widgets.find((widget) => widget.name === 'upload').callback()"
VUE = """async (on) => {
  await app.extensionManager.setting.set("Comfy.VueNodes.Enabled", on);
  await new Promise((done) => setTimeout(done, 500));
}"""
CHOSEN = """(name) => app.graph.nodes[0].widgets[0].value === name"""


@pytest.fixture
def motion(tmp_path) -> Path:
    path = tmp_path / "from elsewhere.safetensors"
    save_any(change(5), path)
    return path


@pytest.fixture(autouse=True)
def graph(page):
    page.evaluate(ADD)
    yield
    page.evaluate("() => app.graph.clear()")


def ran(server, page) -> dict:
    """What a run of the page's graph gave."""
    before = set(server.get("/history"))
    page.evaluate("async () => await app.queuePrompt(0, 1)")
    page.wait_for_timeout(200)
    for _ in range(300):
        new = [entry for name, entry in server.get("/history").items() if name not in before]
        if new:
            return new[0]
        page.wait_for_timeout(100)
    raise AssertionError("nothing ran")


def test_a_dropped_file_is_kept_chosen_and_runs(server, page, motion):
    page.evaluate(DROP, [motion.name, list(motion.read_bytes())])
    page.wait_for_function(CHOSEN, arg=motion.name)
    assert (server.base / "input" / motion.name).read_bytes() == motion.read_bytes()
    assert ran(server, page)["status"]["status_str"] == "success"


def test_the_button_takes_a_template_and_empties_the_path(server, page, tmp_path):
    template = tmp_path / "template.pkl"
    save_any(change(5), template)
    page.evaluate("() => { app.graph.nodes[0].widgets.find((widget) => widget.name === 'path').value = 'x' }")
    with page.expect_file_chooser() as chooser:
        page.evaluate(
            "() => app.graph.nodes[0].widgets.find((widget) => widget.name === 'upload').callback()"
        )
    chooser.value.set_files(str(template))
    page.wait_for_function(CHOSEN, arg="template.pkl")
    assert page.evaluate(VALUES)["path"] == ""
    assert ran(server, page)["status"]["status_str"] == "success"


def test_another_file_is_refused_and_said(server, page, tmp_path):
    other = tmp_path / "voice.txt"
    other.write_text("not a motion")
    before = page.evaluate(VALUES)
    with page.expect_file_chooser() as chooser:
        page.evaluate(PRESS)
    chooser.value.set_files(str(other))
    page.get_by_text("voice.txt is no motion; .safetensors and .pkl files are.").first.wait_for()
    page.evaluate(DROP, [other.name, [1, 2, 3]])
    assert page.evaluate(VALUES) == before and not (server.base / "input" / other.name).exists()


def test_in_nodes_2_the_button_is_there_and_a_drop_is_taken(server, page, motion):
    page.evaluate(VUE, True)
    try:
        page.evaluate(ADD)
        button = page.get_by_role("button", name="choose file to upload")
        with page.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files(str(motion.rename(motion.with_name("pressed.safetensors"))))
        page.wait_for_function(CHOSEN, arg="pressed.safetensors")
        dropped = motion.with_name("dropped.pkl")
        save_any(change(5), dropped)
        page.evaluate(DROP_HERE, [dropped.name, list(dropped.read_bytes())])
        page.wait_for_function(CHOSEN, arg="dropped.pkl")
        assert ran(server, page)["status"]["status_str"] == "success"
    finally:
        page.evaluate(VUE, False)


def test_the_menu_shows_what_was_saved_after_r(server, page):
    folder = server.base / "output" / "motion"
    folder.mkdir(parents=True, exist_ok=True)
    save_any(change(5), folder / "late_00001_.safetensors")
    page.evaluate("async () => await app.refreshComboInNodes()")
    values = page.evaluate("() => app.graph.nodes[0].widgets[0].options.values")
    assert "motion/late_00001_.safetensors [output]" in values
    page.evaluate("() => { app.graph.nodes[0].widgets[0].value = 'motion/late_00001_.safetensors [output]' }")
    assert ran(server, page)["status"]["status_str"] == "success"


def test_a_workflow_from_before_the_menu_keeps_its_text(server, page):
    folder = server.base / "output" / "motion"
    folder.mkdir(parents=True, exist_ok=True)
    save_any(change(5), folder / "older_00001_.safetensors")
    written = r' "motion\older_00001_.safetensors" '
    page.evaluate(
        """async (written) => {
          const saved = app.graph.serialize();
          saved.nodes.find((node) => node.type.endsWith("LoadFaceMotion")).widgets_values = [written];
          await app.loadGraphData(saved);
        }""",
        written,
    )
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    (load,) = (node for node in prompt.values() if node["class_type"].endswith("LoadFaceMotion"))
    assert load["inputs"] == {"file": written, "path": ""}
    assert ran(server, page)["status"]["status_str"] == "success"


def test_an_empty_menu_is_empty_and_says_what_to_do(server, page):
    page.evaluate("() => { app.graph.nodes[0].widgets[0].value = '' }")
    page.evaluate("async () => await app.queuePrompt(0, 1)")
    page.get_by_text("no motion is chosen").first.wait_for(state="attached")


def test_the_button_is_in_no_prompt_and_in_no_workflow(page):
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    assert all("upload" not in node["inputs"] for node in prompt.values())
    saved = page.evaluate("() => app.graph.serialize().nodes.map((node) => node.widgets_values)")
    assert len(saved[0]) == 2


def test_a_text_that_was_linked_to_it_before_the_menu_still_comes_through(server, page):
    """Save Face Motion's path into Load Face Motion, as older workflows and prompts have it."""
    page.evaluate(
        """async () => {
          app.graph.clear();
          const types = ["LoadAudio", "TalkingPortraitMotionEngine", "TalkingPortraitGenerateMotion"];
          types.push("TalkingPortraitSaveFaceMotion", "TalkingPortraitLoadFaceMotion", "TalkingPortraitPlotFaceMotion");
          const nodes = types.map((type) => LiteGraph.createNode(type));
          nodes.forEach((node) => app.graph.add(node));
          const [voice, engine, move, save, load, plot] = nodes;
          voice.widgets[0].value = "talking_portrait_speech.wav";
          const into = (node, name) => node.inputs.findIndex((input) => input.name === name);
          engine.connect(0, move, into(move, "motion_engine"));
          voice.connect(0, move, into(move, "audio"));
          move.connect(0, save, into(save, "face_motion"));
          load.connect(0, plot, 0);
          const saved = app.graph.serialize();
          const [from, to] = [save, load].map((one) => saved.nodes.find((node) => node.type === one.type));
          const slot = to.inputs.findIndex((input) => input.name === "file");
          Object.assign(to.inputs[slot], { type: "STRING", link: 99 });
          from.outputs[0].links = [99];
          saved.links.push([99, from.id, 0, to.id, slot, "STRING"]);
          saved.last_link_id = 99;
          await app.loadGraphData(saved);
        }"""
    )
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    by_class = {node["class_type"].removeprefix("TalkingPortrait"): key for key, node in prompt.items()}
    assert prompt[by_class["LoadFaceMotion"]]["inputs"]["file"] == [by_class["SaveFaceMotion"], 0]
    done = ran(server, page)
    assert done["status"]["status_str"] == "success" and by_class["PlotFaceMotion"] in done["outputs"]
