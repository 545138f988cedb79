"""The page's own search for nodes: what artists type leads to the node that they need."""

import pytest

SEARCH = """(word) => {
  const app = document.getElementById("vue-app").__vue_app__;
  const { nodeSearchService } = app.config.globalProperties.$pinia._s.get("nodeDef");
  return nodeSearchService.searchNode(word, [], { limit: 64 }, { matchWildcards: false }).map((node) => node.name);
}"""
SEEN = 10  # without scrolling
WORDS = {
    "avatar": "RenderVideo", "talking avatar": "RenderVideo", "audio to video": "RenderVideo",
    "speech to video": "RenderVideo", "animate photo": "RenderVideo", "photo to video": "RenderVideo",
    "lip sync video": "RenderVideo", "talking head": "RenderVideo", "dub": "RenderVideo",
    "lip sync": "GenerateMotion", "lipsync": "GenerateMotion", "wav2lip": "GenerateMotion", "sonic": "GenerateMotion",
    "sadtalker": "GenerateMotion", "hallo": "GenerateMotion", "echomimic": "GenerateMotion",
    "musetalk": "GenerateMotion", "vasa": "GenerateMotion",
    "kdtalker": "MotionEngine", "joyvasa": "MotionEngine", "takin": "MotionEngine",
    "liveportrait": "LoadRenderer", "portrait": "Prepare", "photo": "Prepare",
    "expression": "ExpressionEditor", "advanced liveportrait": "ExpressionEditor", "smile": "ExpressionEditor",
    "blink": "FaceMotionIntensity", "exaggerate": "FaceMotionIntensity", "head pose": "HeadMotion",
    "emotion": "Emotion", "happy": "Emotion",
    "driving video": "FaceMotionFromVideo", "face capture": "FaceMotionFromVideo", "mocap": "FaceMotionFromVideo",
    "face detection": "LoadFaceDetector", "face detector": "LoadFaceDetector", "face mask": "FaceRegionMasks",
    "mix motion": "BlendFaceMotion", "pkl": "LoadFaceMotion", "motion template": "SaveFaceMotion",
    "streaming": "Stream", "vtuber": "GenerateMotionLive", "microphone": "GenerateMotionLive",
    "audio encoder": "SpeechEncoder", "infinitetalk": "ApplyFantasyTalking", "multitalk": "ApplyFantasyTalking",
    "face id": "FantasyTalkingIdentity", "syncnet": "EvaluateVideo",
    "LSE-C": "EvaluateVideo", "psnr": "CompareVideos", "curves": "PlotFaceMotion",
}  # fmt: skip


@pytest.mark.parametrize(("word", "node"), WORDS.items())
def test_a_word_finds_its_node_among_the_first(page, word, node):
    found = page.evaluate(SEARCH, word)
    assert f"TalkingPortrait{node}" in found[:SEEN], found[:SEEN]


def test_every_node_but_those_of_older_workflows_has_words(server):
    told = server.get("/object_info")
    ours = {name: info for name, info in told.items() if name.startswith("TalkingPortrait")}
    assert not [
        name for name, info in ours.items() if not info.get("search_aliases") and not info["deprecated"]
    ]
