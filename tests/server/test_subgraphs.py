"""The shipped subgraphs: listed by the server, whole in the page, and the first one makes a film there."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from talking_portrait.tools.make_subgraphs import ALL, SUBGRAPHS

from .prompts import video_facts, write_wav

IN_A_GRAPH = """
async ([graph, picture, voice]) => {
  await app.loadGraphData(graph);
  const node = app.graph._nodes[0];
  const made = ['LoadImage', 'LoadAudio', 'SaveVideo'].map((type) => LiteGraph.createNode(type));
  made.forEach((one) => app.graph.add(one));
  const [image, audio, save] = made;
  image.widgets[0].value = picture;
  audio.widgets[0].value = voice;
  image.connect(0, node, node.inputs.findIndex((input) => input.type === 'IMAGE'));
  audio.connect(0, node, node.inputs.findIndex((input) => input.type === 'AUDIO'));
  node.connect(0, save, 0);
  await app.queuePrompt(0, 1);
}
"""


def shape(graph: dict) -> tuple[list[str], list[str]]:
    """Names of inputs and outputs of a file's one node."""
    (node,) = graph["nodes"]
    return [entry["name"] for entry in node["inputs"]], [entry["name"] for entry in node["outputs"]]


def test_they_are_listed_and_offer_what_they_say(server):
    listed = {
        entry["name"]
        for entry in server.get("/global_subgraphs").values()
        if entry["source"] == "custom_node"
    }
    assert listed == {wanted.name for wanted in ALL} == {path.stem for path in SUBGRAPHS.glob("*.json")}
    shapes = {
        wanted.name: shape(json.loads((SUBGRAPHS / f"{wanted.name}.json").read_text())) for wanted in ALL
    }
    assert shapes == {
        "Talking Portrait": (
            ["image", "audio", "seed", "mouth_amount", "head_amount", "face_index", "max_size"], ["VIDEO"],
        ),
        "Emotion over Time": (["face_motion", "emotion", "intensity", "intensity_curve"], ["FACE_MOTION"]),
        "LivePortrait from Video": (
            ["image", "video", "region", "multiplier", "face_index", "max_size"], ["VIDEO"],
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "path", sorted([*SUBGRAPHS.glob("*.json"), *(SUBGRAPHS.parent / "workflows").glob("*.json")])
)
def test_no_list_of_a_graph_is_null(path):
    """Page 1.58 reads the list of floating links wherever that key stands."""
    graph = json.loads(path.read_text())
    for part in (graph, *graph.get("definitions", {}).get("subgraphs", [])):
        assert [key for key, value in part.items() if value is None] == []


@pytest.mark.slow
def test_one_node_makes_a_film(server, page, tmp_path):
    wave = 0.2 * np.sin(np.arange(8000) / 10)
    voice = server.add_input(write_wav(tmp_path / "half_a_second.wav", wave, 16000))
    graph, before = (
        json.loads(Path(SUBGRAPHS / "Talking Portrait.json").read_text()),
        set(server.get("/history")),
    )
    page.evaluate(IN_A_GRAPH, [graph, "talking_portrait_astronaut.png", voice])
    deadline = time.monotonic() + 120
    while not (new := set(server.get("/history")) - before):
        assert time.monotonic() < deadline, server.log()[-3000:]
        time.sleep(0.3)
    entry = server.get(f"/history/{new.pop()}").popitem()[1]
    assert entry["status"]["status_str"] == "success", entry["status"]
    (film,) = server.output_files(entry["outputs"])
    assert video_facts(film)["frames"].shape == (13, 512, 512, 3)
