"""The example of another pack's engine and renderer, in the real server: the shipped chain with both swapped in."""

import json
from pathlib import Path

import numpy as np
import pytest
from talking_portrait.tools.workflow_drafts import shipped

from .prompts import chosen, video_facts

# Films with every part swapped.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
ENGINE, RENDERER = "TalkingPortraitMotionEngine", "TalkingPortraitLoadRenderer"
SWAPS = {
    "its own nodes": {ENGINE: ("EnginePackLoudnessJaw", {"reach": 0.9}),
    RENDERER: ("EnginePackPuppetJaw", {})},
    "our menus": {
        ENGINE: (ENGINE, chosen("engine", "loudness jaw", reach=0.9)),
        RENDERER: (RENDERER, chosen("renderer", "puppet jaw")),
    },
}  # fmt: skip


def test_both_stand_in_our_menus_behind_our_own(server):
    known = server.get("/object_info")
    for node, name, new in ((ENGINE, "engine", "loudness jaw"), (RENDERER, "renderer", "puppet jaw")):
        menu = known[node]["input"]["required"][name]
        keys = [option["key"] for option in menu[1]["options"]]
        assert keys[0].startswith("built-in") and keys[-1] == new
        assert new in menu[1]["tooltip"]


@pytest.mark.parametrize("how", SWAPS)
def test_the_shipped_chain_runs_with_both_swapped_in(server, how):
    prompt = server.to_prompt(json.loads(shipped("talking_portrait").read_text()))
    swapped = [node for node in prompt.values() if node["class_type"] in SWAPS[how]]
    for node in swapped:
        node["class_type"], node["inputs"] = SWAPS[how][node["class_type"]]
    assert len(swapped) == 2
    (video,) = server.output_files(server.run(prompt))
    facts = video_facts(video)
    frames = facts["frames"].astype(np.float32)
    assert frames.shape == (186, 512, 512, 3) and facts["audio_seconds"]
    jaw, rest = frames[:, 290:320, 230:280].std(0).mean(), frames[:, :40, :40].std(0).mean()
    assert jaw > 10 * rest, "the jaw stands still"
