"""Every shipped workflow: loaded in the real page, run in the real server, its result looked into."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from comfy_api.latest import InputImpl
from PIL import Image
from scipy.io import wavfile
from talking_portrait.tools.workflow_drafts import SLUGS

from .prompts import neural_stages, video_facts

ROOT = Path(__file__).resolve().parent.parent.parent
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
# for the others see their stages' own tests
BUILT_IN = [path for path in WORKFLOWS if not neural_stages(path)]
SPEECH = ROOT / "samples" / "talking_portrait_speech.wav"
DRIVING = ROOT / "samples" / "talking_portrait_driving.mp4"
# of the driving film, for workflows that start from it; two speakers say their parts one after the other
FILMS = {
    "dub_a_video": 1.6, "be_the_portrait": 1.6, "two_speakers": 3.0, "crop_and_paste": 1.6, "measure_films": 1.6,
}  # fmt: skip
# of the speech: the first workflow says all of it, the live one goes on after 4 s, one mixes it with a saved motion as
# long; to the others 2 s are enough
SECONDS = {**FILMS, "talking_portrait": 7.44, "live": 5.0, "save_load_blend": 7.44}
OTHER_SECONDS = 2.0


def the_first_is_quick(paths: list[Path]) -> list:
    """For pytest: of these workflows the one that everybody opens first, and the others for the whole run."""
    slugs = {path: SLUGS[path.stem] for path in paths}
    marks = {path: () if slug == "talking_portrait" else pytest.mark.slow for path, slug in slugs.items()}
    return [pytest.param(path, id=slugs[path], marks=marks[path]) for path in paths]


def check_video(path: Path, seconds: float) -> None:
    facts = video_facts(path)
    assert len(facts["frames"]) == round(seconds * 25) and facts["fps"] == 25
    assert facts["frames"].shape[1] == 512 and facts["frames"].shape[2] in (
        512,
        1024,
    )  # one, or two side by side
    assert abs(facts["audio_seconds"] - seconds) < 0.1
    faces = np.split(facts["frames"], facts["frames"].shape[2] // 512, 2)
    for frames in faces:
        check_mouth(frames)
    photo = np.asarray(
        Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB"), np.float32
    )
    assert np.abs(faces[0][0] - photo).mean() < 4, "the first frame is not the portrait"


def check_film(path: Path, seconds: float) -> None:
    """Of a workflow that starts from the driving film: as many frames as it has, and they move."""
    facts = video_facts(path)
    assert len(facts["frames"]) == round(seconds * 25) and facts["fps"] == 25
    assert facts["frames"].astype(np.float32).std(0).mean() > 0.5


def check_mouth(frames: np.ndarray) -> None:
    mouth = frames[:, 270:320, 205:300].astype(np.float32)
    corner = frames[:, :40, :40].astype(np.float32)
    assert mouth.std(0).mean() > 4 * corner.std(0).mean(), "the mouth does not move more than the background"


def kept(declared: dict, inputs: dict) -> dict:
    names = {name for group in declared.values() for name in group}
    # menu.name is a choice's own
    return {name: value for name, value in inputs.items() if name.split(".")[0] in names}


@pytest.mark.parametrize("path", the_first_is_quick(WORKFLOWS))
def test_converter_and_page_agree(server, page, path):
    graph = json.loads(path.read_text())
    from_page = page.evaluate(
        "async (g) => { await app.loadGraphData(g); return (await app.graphToPrompt()).output }", graph
    )
    ours = server.to_prompt(graph)

    known = server.get("/object_info")

    def bare(prompt):
        """Class and inputs of every node, without what the page adds for itself (a video's preview)."""
        return {
            key: (node["class_type"], kept(known[node["class_type"]]["input"], node["inputs"]))
            for key, node in prompt.items()
        }

    for key in sorted(set(from_page) | set(ours)):
        assert bare(from_page).get(key) == bare(ours).get(key), key
    errors = page.evaluate("() => document.querySelectorAll('.comfy-missing-nodes').length")
    assert errors == 0


@pytest.fixture
def speech(server):
    """Cuts the speech in the server's input folder to so many seconds, until the test's end."""
    rate, wave = wavfile.read(SPEECH)
    file = server.base / "input" / SPEECH.name
    yield lambda seconds: wavfile.write(file, rate, wave[: round(seconds * rate)])
    shutil.copy(SPEECH, file)


@pytest.fixture
def driving(server):
    """The same for the driving film."""
    file = server.base / "input" / DRIVING.name
    yield lambda seconds: InputImpl.VideoFromFile(str(DRIVING), duration=seconds).save_to(str(file))
    shutil.copy(DRIVING, file)


@pytest.mark.parametrize("path", the_first_is_quick(BUILT_IN))
def test_it_runs_from_the_page(server, page, speech, driving, path):
    seconds = SECONDS.get(SLUGS[path.stem], OTHER_SECONDS)
    speech(seconds)
    if SLUGS[path.stem] in FILMS:
        driving(seconds)
    before = set(server.get("/history"))
    page.evaluate(
        "async (g) => { await app.loadGraphData(g); await app.queuePrompt(0, 1) }",
        json.loads(path.read_text()),
    )
    deadline = time.monotonic() + 240
    while not (new := set(server.get("/history")) - before):
        assert time.monotonic() < deadline, f"no result after 240 s; log:\n{server.log()[-3000:]}"
        time.sleep(0.3)
    entry = server.get(f"/history/{new.pop()}").popitem()[1]
    assert entry["status"]["status_str"] == "success", entry["status"]
    outputs = entry["outputs"]
    videos = [file for file in server.output_files(outputs) if file.suffix == ".mp4"]
    pictures = [file for file in server.output_files(outputs, "temp") if file.suffix == ".png"]
    assert videos or pictures
    for video in videos:
        if SLUGS[path.stem] in FILMS:
            check_film(video, seconds)
        else:
            check_video(video, seconds)
    for picture in pictures:
        assert np.asarray(Image.open(picture).convert("L")).std() > 5, f"{picture.name} is an empty picture"
