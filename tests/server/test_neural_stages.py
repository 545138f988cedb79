"""KDTalker and LivePortrait in the real server and page, with files of random numbers, small but for one test."""

import json
import shutil
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from talking_portrait.models.liveportrait.checkpoint import FILES
from talking_portrait.models.liveportrait.expression_sliders import SLIDERS, TURNS
from talking_portrait.models.media.video_stream import VideoStreamWriter
from talking_portrait.tools import random_joyvasa
from talking_portrait.tools.random_weights import liveportrait_states
from talking_portrait.tools.workflow_drafts import SLUGS, shipped

from .prompts import chosen, failure, neural_stages, talking_prompt, video_facts, write_wav
from .test_cancel import cancel_at, leftovers

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
FRAMES = 2
SECONDS = FRAMES / 25
# Where a CPU has no bf16 arithmetic it is emulated, and two frames take many minutes.
HALF = "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"
LOADERS = {"TalkingPortraitLoadRenderer": "LivePortrait", "TalkingPortraitMotionEngine": "KDTalker"}
NEURAL = sorted(path for path in (ROOT / "workflows").glob("*.json") if neural_stages(path) & LOADERS.keys())


@pytest.fixture(scope="module")
def short_inputs(server, tmp_path_factory) -> dict[str, str]:
    """A voice and a driving video of two frames, under names in the input folder."""
    folder = tmp_path_factory.mktemp("short")
    wave = 0.2 * np.sin(np.arange(round(SECONDS * 16000)) / 10)
    video = folder / "short_driving.mp4"
    with av.open(str(ROOT / "samples" / "talking_portrait_driving.mp4")) as container:
        frames = [
            frame.to_ndarray(format="rgb24")
            for frame, _ in zip(container.decode(video=0), range(FRAMES), strict=False)
        ]
    with VideoStreamWriter(video, Fraction(25), torch.from_numpy(wave)[None].float(), 16000) as writer:
        writer.write(torch.from_numpy(np.stack(frames)).float() / 255)
    return {
        "LoadAudio": server.add_input(write_wav(folder / "short_voice.wav", wave, 16000)),
        "LoadVideo": server.add_input(video),
        "LoadImage": "talking_portrait_astronaut.png",
    }


@pytest.fixture(scope="module")
def one_frame(server, short_inputs, tmp_path_factory) -> dict[str, str]:
    """The same with a voice of one frame, where what is asked is not how frames differ: each takes seconds."""
    wave = 0.2 * np.sin(np.arange(640) / 10)
    voice = write_wav(tmp_path_factory.mktemp("one_frame") / "one_frame_voice.wav", wave, 16000)
    return {**short_inputs, "LoadAudio": server.add_input(voice)}


def neural_prompt(files: dict[str, str], **changes) -> dict:
    """The whole chain with KDTalker and LivePortrait."""
    prompt = talking_prompt(files["LoadImage"], files["LoadAudio"])
    prompt["engine"]["inputs"] = chosen("engine", "KDTalker", steps=2)
    prompt["motion"]["inputs"]["portrait"] = ["portrait", 0]
    prompt["renderer"]["inputs"]["renderer"] = "LivePortrait"
    for title, inputs in changes.items():
        prompt[title]["inputs"].update(inputs)
    return prompt


@pytest.fixture(scope="module")
def joyvasa_files(server):
    """Small files of JoyVASA, for its workflow and the comparison."""
    random_joyvasa.write(server.models, random_joyvasa.SMALL)
    yield
    for path in (server.models / "joyvasa").iterdir():
        path.unlink()


def check_film(path: Path, frames: int = FRAMES) -> None:
    facts = video_facts(path)
    assert (
        facts["frames"].shape == (frames, 512, 512, 3)
        and facts["fps"] == 25
        and facts["audio_seconds"] is not None
    )
    photo = np.asarray(
        Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB"), np.float32
    )
    change = np.abs(facts["frames"] - photo).mean((0, 3))
    assert change[460:, :60].mean() < 6 and change[:60, 480:].mean() < 6, (
        "the picture around the face changed"
    )
    assert change[150:300, 150:350].mean() > 20, "the drawn face is not there"


@pytest.mark.parametrize("path", NEURAL, ids=[SLUGS[path.stem] for path in NEURAL])
def test_workflows_run_from_the_page(
    server, page, random_weights, joyvasa_files, short_inputs, one_frame, path
):
    graph, still = json.loads(path.read_text()), SLUGS[path.stem] in ("joyvasa_portrait", "kdtalker_portrait")
    inputs = one_frame if still else short_inputs
    for node in graph["nodes"]:
        if node["type"] in inputs:
            node["widgets_values"][0] = inputs[node["type"]]
    before = set(server.get("/history"))
    page.evaluate("async (g) => { await app.loadGraphData(g); await app.queuePrompt(0, 1) }", graph)
    deadline = time.monotonic() + 300
    while not (new := set(server.get("/history")) - before):
        assert time.monotonic() < deadline, f"no result after 300 s; log:\n{server.log()[-3000:]}"
        time.sleep(0.3)
    entry = server.get(f"/history/{new.pop()}").popitem()[1]
    assert entry["status"]["status_str"] == "success", entry["status"]
    (video,) = server.output_files(entry["outputs"])
    check_film(video, 1 if still else FRAMES)


def test_four_neural_workflows_ship():
    assert len(NEURAL) == 4


def test_the_comparison_s_muted_engines_wake(server, random_weights, joyvasa_files, short_inputs):
    """With their files there, each makes a film of its own beside the two that need none."""
    graph = json.loads(shipped("compare_engines").read_text())
    for node in graph["nodes"]:
        node["mode"] = 0
        if node["type"] in short_inputs:
            node["widgets_values"][0] = short_inputs[node["type"]]
    videos = server.output_files(server.run(server.to_prompt(graph)))
    films = {path.name.rsplit("_", 2)[0]: video_facts(path)["frames"] for path in videos}
    assert {name: film.shape for name, film in films.items()} == {
        "two_engines": (FRAMES, 512, 1024, 3), "kdtalker": (FRAMES, 512, 512, 3), "joyvasa": (FRAMES, 512, 512, 3),
    }  # fmt: skip
    last = films["two_engines"][-1].astype(np.float32)
    ends = [
        last[:, :512],
        last[:, 512:],
        *(films[name][-1].astype(np.float32) for name in ("kdtalker", "joyvasa")),
    ]
    for i, one in enumerate(ends):
        assert all(np.abs(one - other).mean() > 0.2 for other in ends[:i]), "two engines made the same frame"


def test_networks_of_the_published_sizes_draw_and_do_not_mix_with_others(
    server, random_weights, short_inputs, one_frame
):
    """Chosen in the menus of Load Portrait Renderer beside the small ones."""
    published = {}
    for part, file in FILES.items():
        path = random_weights / "liveportrait" / f"published_{file.safetensors}"
        published[f"renderer.{part}_file"] = path.name
        save_file(liveportrait_states()[file.safetensors], path)
    options = {"renderer.precision": "fp32", **published}
    (video,) = server.output_files(server.run(neural_prompt(one_frame, renderer=options)))
    check_film(video, frames=1)
    mixed = {**options, "renderer.generator_file": FILES["generator"].safetensors}
    message = failure(server, neural_prompt(one_frame, renderer=mixed))
    assert "warping_file gives 256 channels, but generator_file takes 16" in message
    for name in published.values():
        (random_weights / "liveportrait" / name).unlink()


@pytest.mark.parametrize("stage", ["renderer", "engine"])
def test_either_stage_swaps_alone(server, random_weights, one_frame, stage):
    prompt = neural_prompt(one_frame)
    other = {"renderer": ("engine", "engine"), "engine": ("renderer", "renderer")}[stage]
    prompt[other[0]]["inputs"] = {other[1]: {"engine": "built-in", "renderer": "built-in warp"}[other[0]]}
    (video,) = server.output_files(server.run(prompt))
    assert len(video_facts(video)["frames"]) == 1


def test_half_precision_and_the_face_alone(server, random_weights, one_frame):
    prompt = neural_prompt(one_frame, renderer={"renderer.precision": HALF})
    prompt["animation"] = {
        "class_type": "TalkingPortraitLivePortraitAnimation",
        "inputs": {
            "portrait": ["portrait", 0], "stitching": False, "motion_mode": "absolute", "region": "all",
            "multiplier": 1.0,
            "keep_proportions": True, "close_lips": True, "eyes_open": 0.3, "lips_open": 0.1,
            "official_retargeting": False,
            "output": "face alone (512x512)",
        },
    }  # fmt: skip
    prompt["video"]["inputs"]["portrait"] = ["animation", 0]
    (video,) = server.output_files(server.run(prompt))
    facts = video_facts(video)
    assert facts["frames"].shape == (1, 512, 512, 3) and facts["frames"][:, :40, :40].std() > 5


def test_the_motion_extractor_is_loaded_once_for_engine_and_renderer(server, random_weights, one_frame):
    before = server.log().count("loaded motion_extractor")
    for seed in (1, 2):
        server.run(neural_prompt(one_frame, motion={"seed": seed}))
    after = server.log().count("loaded motion_extractor")
    assert after >= 1 and after - before <= 1


def test_the_models_leave_memory_when_asked_and_come_back(server, random_weights, one_frame):
    server.run(neural_prompt(one_frame, motion={"seed": 11}))
    server.post("/free", {"unload_models": True, "free_memory": True})
    time.sleep(1)
    (video,) = server.output_files(server.run(neural_prompt(one_frame, motion={"seed": 12})))
    check_film(video, frames=1)


def test_cancelling_stops_the_film_and_leaves_no_file(server, random_weights, short_inputs, tmp_path):
    voice = server.add_input(
        write_wav(tmp_path / "longer.wav", 0.2 * np.sin(np.arange(16000 * 8) / 9), 16000)
    )
    files = set((server.base / "output").rglob("*.mp4"))
    prompt = neural_prompt({**short_inputs, "LoadAudio": voice})
    assert cancel_at(server, prompt, "video") < 40, "a frame takes some seconds here, no more"
    assert set((server.base / "output").rglob("*.mp4")) == files and leftovers(server) == []


def test_the_expression_editor_shows_its_picture(server, short_inputs):
    prompt = {key: node for key, node in talking_prompt(short_inputs["LoadImage"],
        short_inputs["LoadAudio"]).items()
              if key in ("image", "detector", "landmarks", "renderer", "portrait")}  # fmt: skip
    prompt["editor"] = {
        "class_type": "TalkingPortraitExpressionEditor",
        "inputs": {"portrait": ["portrait", 0], **dict.fromkeys((*SLIDERS, *TURNS), 0.0), "aaa": 40.0},
    }
    outputs = server.run(prompt)
    (picture,) = server.output_files(outputs, "temp")
    photo = np.asarray(
        Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB"), np.float32
    )
    change = np.abs(np.asarray(Image.open(picture).convert("RGB"), np.float32) - photo).mean(-1)
    assert change[270:330, 205:300].mean() > 5 and change[:100, :100].max() == 0


def test_a_keypoint_extractor_of_its_own_gives_the_same_film(server, random_weights, one_frame, taken_away):
    """KDTalker and the LivePortrait renderer see by what Load Keypoint Extractor gives, and need no file for it."""
    options = {"engine": {"engine.steps": 2}, "renderer": {"renderer.precision": "fp32"}}
    (alone,) = server.output_files(server.run(neural_prompt(one_frame, **options)))
    graph = neural_prompt(one_frame, **options)
    mine = random_weights / "liveportrait" / "mine.safetensors"
    shutil.copy(random_weights / "liveportrait" / "motion_extractor.safetensors", mine)
    graph["extractor"] = {
        "class_type": "TalkingPortraitKeypointExtractor",
        "inputs": chosen("extractor", "LivePortrait", file=mine.name),
    }
    for loader in ("engine", "renderer"):
        graph[loader]["inputs"][f"{loader}.keypoint_extractor"] = ["extractor", 0]
    taken_away("liveportrait/motion_extractor.safetensors")
    (swapped,) = server.output_files(server.run(graph))
    mine.unlink()
    assert "loaded mine.safetensors" in server.log()
    assert np.array_equal(video_facts(alone)["frames"], video_facts(swapped)["frames"])


@pytest.fixture
def taken_away(random_weights):
    """Rename a weight file for one test."""
    moved: list[tuple[Path, Path]] = []

    def take(name: str) -> Path:
        path = random_weights / name
        hidden = path.with_name(path.name + ".hidden")
        path.rename(hidden)
        moved.append((hidden, path))
        return path

    yield take
    for hidden, path in moved:
        path.unlink(missing_ok=True)
        hidden.rename(path)


@pytest.mark.parametrize("name",
["liveportrait/spade_generator.safetensors", "liveportrait/motion_extractor.safetensors",
                                  "kdtalker/KDTalker.pth", "kdtalker/wav2lip.pth",
                                  "kdtalker/norm.npz"])  # fmt: skip
def test_a_missing_file_is_named(server, short_inputs, taken_away, name):
    path = taken_away(name)
    message = failure(
        server,
        neural_prompt(short_inputs, engine={"engine.steps": 3}, renderer={"renderer.precision": "fp32"}),
    )
    assert path.name in message and f"ComfyUI/models/{path.parent.name}/" in message and "licence" in message
    assert "https://" in message


def test_a_wrong_file_says_what_it_is(server, short_inputs, taken_away):
    path = taken_away("liveportrait/spade_generator.safetensors")
    save_file(load_file(path.with_name("warping_module.safetensors")), path)
    message = failure(server, neural_prompt(short_inputs, renderer={"renderer.precision": "fp32"}))
    assert "spade_generator.safetensors" in message and "looks like the warping module" in message


def test_missing_keys_are_counted(server, short_inputs, taken_away):
    path = taken_away("liveportrait/warping_module.safetensors")
    state = load_file(path.with_name(path.name + ".hidden"))
    del state["fourth.bias"]
    save_file(state, path)
    message = failure(server, neural_prompt(short_inputs, renderer={"renderer.precision": "fp32"}))
    assert (
        "warping_module.safetensors" in message
        and "1 tensors are missing" in message
        and "fourth.bias" in message
    )


def test_half_precision_files_load(server, one_frame, taken_away):
    for name in ("warping_module", "spade_generator", "motion_extractor"):
        path = taken_away(f"liveportrait/{name}.safetensors")
        state = load_file(path.with_name(path.name + ".hidden"))
        save_file(
            {key: value.half() if value.is_floating_point() else value for key, value in state.items()}, path
        )
    (video,) = server.output_files(server.run(neural_prompt(one_frame, motion={"seed": 21})))
    check_film(video, frames=1)


def test_kdtalker_without_a_portrait_says_so(server, random_weights, short_inputs):
    prompt = neural_prompt(short_inputs)
    del prompt["motion"]["inputs"]["portrait"]
    assert "portrait is empty" in failure(server, prompt)


def test_animation_wants_liveportrait(server, random_weights, short_inputs):
    prompt = neural_prompt(short_inputs, renderer={"renderer": "built-in warp"})
    prompt["animation"] = {
        "class_type": "TalkingPortraitLivePortraitAnimation",
        "inputs": {
            "portrait": ["portrait", 0], "stitching": True, "motion_mode": "relative", "region": "all",
            "multiplier": 1.0,
            "keep_proportions": False, "close_lips": False, "eyes_open": -0.05, "lips_open": -0.05,
            "official_retargeting": False, "output": "whole picture",
        },
    }  # fmt: skip
    prompt["video"]["inputs"]["portrait"] = ["animation", 0]
    assert "Choose LivePortrait in Load Portrait Renderer" in failure(server, prompt)


def driving_prompt(files: dict[str, str], video: str, **changes) -> dict:
    """A driving video's motion, plotted."""
    inputs = {"images": ["parts", 0], "face_landmarks": ["found", 0], "fps": ["parts", 2], "face_index": 0,
        "missing_face": "error",
              "smoothing": 0.3, "animal": False, **changes}  # fmt: skip
    prompt = talking_prompt(files["LoadImage"], files["LoadAudio"])
    landmarks = {**prompt["landmarks"]["inputs"], "image": ["parts", 0]}
    return {
        "video": {"class_type": "LoadVideo", "inputs": {"file": video}},
        "parts": {"class_type": "GetVideoComponents", "inputs": {"video": ["video", 0]}},
        "detector": prompt["detector"],
        "found": {"class_type": "MediaPipeFaceLandmarker", "inputs": landmarks},
        "drive": {"class_type": "TalkingPortraitFaceMotionFromVideo", "inputs": inputs},
        "plot": {"class_type": "TalkingPortraitPlotFaceMotion", "inputs": {"face_motion": ["drive", 0]}},
        "missed": {"class_type": "PreviewAny", "inputs": {"source": ["drive", 1]}},
    }


@pytest.fixture(scope="module")
def gaps(server, tmp_path_factory) -> str:
    """A driving video whose second of four frames shows no face, of an odd, wide size."""
    photo = Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB").resize((300, 300))
    canvas = np.full((4, 300, 462, 3), 120, np.uint8)
    canvas[[0, 2, 3], :, 80:380] = np.asarray(photo)
    path = tmp_path_factory.mktemp("gaps") / "gaps.mp4"
    with VideoStreamWriter(path, Fraction(30), None, 0) as writer:
        writer.write(torch.from_numpy(canvas).float() / 255)
    return server.add_input(path)


def test_lost_faces_stop_the_run_or_are_bridged(server, random_weights, short_inputs, gaps):
    assert "the face is missing in 1 of 4 frames: 1 " in failure(server, driving_prompt(short_inputs, gaps))
    outputs = server.run(driving_prompt(short_inputs, gaps, missing_face="bridge"))
    assert outputs["missed"]["text"] == ["1"]
