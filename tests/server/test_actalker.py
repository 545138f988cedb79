"""ACTalker in the real server: a small denoiser and full-size smaller networks, all of random numbers, as
real files."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from comfy_extras.frame_interpolation_models.ifnet import IFNet
from safetensors.torch import save_file
from talking_portrait.models.media.video_stream import VideoStreamWriter
from talking_portrait.tools.comfy_server import PromptError
from talking_portrait.tools.random_state import random_state
from talking_portrait.tools.workflow_drafts import DRAFTS, shipped

from .prompts import failure, landmarks, talking_prompt, video_facts, write_wav
from .prompts import saved_latent as latent

# A UNet, and thirty films.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
PADDING = 25
WINDOW = 6 + PADDING  # the whole film at once; in the shipped workflow of speech alone it takes two windows


@pytest.fixture(scope="module")
def files(server, actalker_weights, tmp_path_factory) -> dict[str, str]:
    """Weights where the loaders look; half a second of voice-like stereo at 44.1 kHz; 12 frames of a driving video."""
    folder = tmp_path_factory.mktemp("actalker")
    t = np.arange(22050) / 44100
    sound = 0.3 * np.sin(2 * np.pi * 150 * t) * (1 + np.sin(2 * np.pi * 5 * t))
    with av.open(str(ROOT / "samples" / "talking_portrait_driving.mp4")) as container:
        frames = [
            frame.to_ndarray(format="rgb24")
            for frame, _ in zip(container.decode(video=0), range(12), strict=False)
        ]
    with VideoStreamWriter(folder / "ac_driving.mp4", Fraction(25), torch.zeros(1, 7680), 16000) as writer:
        writer.write(torch.from_numpy(np.stack(frames)).float() / 255)
    return {
        "voice": server.add_input(write_wav(folder / "ac_voice.wav", np.stack([sound, 0.5 * sound]), 44100)),
        "driving": server.add_input(folder / "ac_driving.mp4"),
    }


def prompt(files: dict[str, str], signals: str = "both", **changes) -> dict:
    """From portrait, sound and driving video through core's KSampler to a saved latent."""
    graph = {
        "model": {
            "class_type": "TalkingPortraitLoadACTalker",
            "inputs": {"file": "actalker.safetensors", "weight_dtype": "fp32"},
        },
        "vae": {"class_type": "VAELoader", "inputs": {"vae_name": "svd_vae.safetensors"}},
        "image": {"class_type": "LoadImage", "inputs": {"image": "talking_portrait_astronaut.png"}},
        "detector": {"class_type": "TalkingPortraitLoadFaceDetector", "inputs": {}},
        "points": landmarks(["image", 0]),
        "voice": {"class_type": "LoadAudio", "inputs": {"audio": files["voice"]}},
        "audio": {"class_type": "TalkingPortraitACTalkerAudio", "inputs": {"audio": ["voice", 0]}},
        "film": {"class_type": "LoadVideo", "inputs": {"file": files["driving"]}},
        "parts": {"class_type": "GetVideoComponents", "inputs": {"video": ["film", 0]}},
        "driving points": landmarks(["parts", 0]),
        "motion": {
            "class_type": "TalkingPortraitACTalkerMotionFromVideo",
            "inputs": {
                "images": ["parts", 0], "face_landmarks": ["driving points", 0], "fps": ["parts", 2],
                "face_index": 0,
                "missing_face": "error",
            },
        },
        "condition": {
            "class_type": "TalkingPortraitACTalkerConditioning",
            "inputs": {
                "vae": ["vae", 0], "image": ["image", 0], "face_landmarks": ["points", 0], "face_index": 0,
                "audio_gate": 1.0,
                "motion_gate": 1.0, "regions": "each in its region", "frames": 0, "short_side": 64,
                "audio_gate_end": -0.05,
                "motion_gate_end": -0.05,
            },
        },
        "windows": {
            "class_type": "TalkingPortraitACTalkerContextWindows",
            "inputs": {"model": ["model", 0], "length": WINDOW, "overlap": 0, "shift": 7},
        },
        "guide": {
            "class_type": "TalkingPortraitACTalkerGuidance",
            "inputs": {"model": ["windows", 0], "image_cfg": 2.0, "audio_cfg": 7.5, "motion_cfg": 3.0},
        },
        "sample": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["guide", 0], "seed": 5, "steps": 1, "cfg": 1.0, "sampler_name": "euler",
                "scheduler": "karras",
                "positive": ["condition", 0], "negative": ["condition", 1], "latent_image": ["condition", 2],
                "denoise": 1.0,
            },
        },
        "save": {"class_type": "SaveLatent",
        "inputs": {"samples": ["sample", 0], "filename_prefix": "latents/ac"}},
    }  # fmt: skip
    if signals in ("both", "audio"):
        graph["condition"]["inputs"]["actalker_audio"] = ["audio", 0]
    if signals in ("both", "motion"):
        graph["condition"]["inputs"]["actalker_motion"] = ["motion", 0]
    for title, inputs in changes.items():
        graph[title]["inputs"].update(inputs)
    return graph


def test_sound_and_motion_drive_core_s_sampler(server, files):
    both = latent(server, prompt(files))
    assert both.shape == (6 + PADDING, 4, 8, 8) and torch.isfinite(both).all()
    films = [both] + [latent(server, prompt(files, signals)) for signals in ("audio", "motion")]
    films.append(latent(server, prompt(files, "both", condition={"regions": "official"})))
    for i, one in enumerate(films):
        for other in films[:i]:
            assert (one[:6] - other[:6]).abs().max() > 1e-3


def test_a_closed_gate_is_a_signal_that_is_not_there(server, files):
    closed = latent(server, prompt(files, "both", condition={"motion_gate": 0.0}))
    alone = latent(server, prompt(files, "audio", save={"filename_prefix": "latents/alone"}))
    assert torch.equal(closed, alone)


def test_both_gates_closed_leave_a_plain_film(server, files):
    graph = prompt(files, "both", condition={"motion_gate": 0.0, "audio_gate": 0.0, "frames": 3})
    assert latent(server, graph).shape[0] == 3 + PADDING
    graph["condition"]["inputs"]["frames"] = 0
    assert "frames must say how long the film is" in failure(server, graph)


def test_the_guider_samples_the_same_film(server, files):
    graph = prompt(files)
    del graph["guide"]
    graph |= {
        "guider": {
            "class_type": "TalkingPortraitACTalkerGuider",
            "inputs": {
                "model": ["windows", 0], "positive": ["condition", 0], "image_cfg": 2.0, "audio_cfg": 7.5,
                "motion_cfg": 3.0,
            },
        },
        "noise": {"class_type": "RandomNoise", "inputs": {"noise_seed": 5}},
        "euler": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "sigmas": {
            "class_type": "BasicScheduler",
            "inputs": {"model": ["model", 0], "scheduler": "karras", "steps": 1, "denoise": 1.0},
        },
        "sample": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {
                "noise": ["noise", 0], "guider": ["guider", 0], "sampler": ["euler", 0],
                "sigmas": ["sigmas", 0],
                "latent_image": ["condition", 2],
            },
        },
        "save": {"class_type": "SaveLatent",
        "inputs": {"samples": ["sample", 0], "filename_prefix": "latents/guider"}},
    }  # fmt: skip
    wanted = latent(server, prompt(files, save={"filename_prefix": "latents/option"}))
    assert torch.allclose(latent(server, graph), wanted, atol=1e-4)


def test_a_lora_acts(server, files):
    (server.models / "loras").mkdir(exist_ok=True)
    key = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q"
    save_file(
        {f"{key}.lora_up.weight": torch.ones(64, 4), f"{key}.lora_down.weight": torch.ones(4, 64)},
        server.models / "loras" / "actalker_lora.safetensors",
    )
    graph = prompt(files, "audio", save={"filename_prefix": "latents/lora"})
    graph["lora"] = {
        "class_type": "LoraLoaderModelOnly",
        "inputs": {"model": ["model", 0], "lora_name": "actalker_lora.safetensors", "strength_model": 0.5},
    }
    graph["windows"]["inputs"]["model"] = ["lora", 0]
    with_lora = latent(server, graph)
    graph["lora"]["inputs"]["strength_model"] = 0.0
    assert (with_lora - latent(server, graph)).abs().max() > 1e-3


DOUBLED = range(50, 54)  # the workflow's group "25 frames per second"
WORKFLOWS = [slug for slug in DRAFTS if slug.startswith("actalker")]


def small_prompt(server, files: dict[str, str], workflow: dict) -> dict:
    """A shipped workflow but for what a CPU cannot: small weights under other names, 64 pixels, half a
    second, one step."""
    graph = server.to_prompt(workflow)
    nodes = {node["class_type"]: node for node in graph.values()}
    nodes["TalkingPortraitLoadACTalker"]["inputs"] = {"file": "actalker.safetensors", "weight_dtype": "fp32"}
    (checkpoint,) = (key for key, node in graph.items() if node["class_type"] == "ImageOnlyCheckpointLoader")
    graph[checkpoint] = {"class_type": "VAELoader", "inputs": {"vae_name": "svd_vae.safetensors"}}
    for name in ("TalkingPortraitACTalkerConditioning", "TalkingPortraitACTalkerDecode"):
        nodes[name]["inputs"]["vae"] = [checkpoint, 0]
    nodes["TalkingPortraitACTalkerConditioning"]["inputs"]["short_side"] = 64
    nodes["KSampler"]["inputs"]["steps"] = 1
    if "LoadVideo" in nodes:  # the workflow of speech alone goes on in two windows
        nodes["TalkingPortraitACTalkerContextWindows"]["inputs"]["length"] = WINDOW
    for loader, name, value in (
        ("LoadAudio", "audio", files["voice"]),
        ("LoadVideo", "file", files["driving"]),
    ):
        if loader in nodes:
            nodes[loader]["inputs"][name] = value
    return graph


@pytest.mark.parametrize("slug", WORKFLOWS)
def test_a_shipped_workflow_runs_to_its_video(server, files, slug):
    (video,) = server.output_files(
        server.run(small_prompt(server, files, json.loads(shipped(slug).read_text())))
    )
    facts = video_facts(video)
    assert (
        facts["frames"].shape == (6, 64, 64, 3) and facts["fps"] == Fraction(25, 2) and facts["audio_seconds"]
    )


def test_three_workflows_ship():
    assert len(WORKFLOWS) == 3


def test_the_muted_group_doubles_the_frames_with_core_s_interpolation(server, files):
    """Woken, with a small interpolation network of random numbers in the place of the file that the workflow names."""
    place = server.models / "frame_interpolation" / "film_net_fp16.safetensors"
    place.parent.mkdir(exist_ok=True)
    save_file(random_state(IFNet(channels=(16,) * 5, operations=torch.nn), 0), place)
    workflow = json.loads(shipped("actalker_speech").read_text())
    for node in workflow["nodes"]:
        if int(node["id"]) in DOUBLED:
            assert node["mode"] == 2
            node["mode"] = 0
    videos = [
        video_facts(path) for path in server.output_files(server.run(small_prompt(server, files, workflow)))
    ]
    assert sorted((facts["fps"], len(facts["frames"])) for facts in videos) == [
        (Fraction(25, 2), 6),
        (25, 11),
    ]


def test_the_muted_guider_makes_the_same_film(server, files):
    workflow = json.loads(shipped("actalker_speech").read_text())
    for node in workflow["nodes"]:
        if int(node["id"]) in range(60, 68):
            node["mode"] = 0
    graph = small_prompt(server, files, workflow)
    for node in graph.values():
        if node["class_type"] == "BasicScheduler":
            node["inputs"]["steps"] = 1
        elif node["class_type"] == "TalkingPortraitACTalkerDecode":
            (vae,) = {tuple(one["inputs"]["vae"]) for one in graph.values() if "vae" in one["inputs"]} - {
                ("5", 2)
            }
            node["inputs"]["vae"] = list(vae)
    one, two = (video_facts(path) for path in server.output_files(server.run(graph)))
    assert one["frames"].shape == two["frames"].shape == (6, 64, 64, 3) and one["fps"] == two["fps"]
    assert np.abs(one["frames"].astype(np.float32) - two["frames"]).mean() < 2


def test_it_stops_when_told(server, files):
    graph = prompt(files, "audio", sample={"steps": 50, "seed": 99})

    def stop(kind, data):
        if kind == "progress" and data.get("node") == "sample" and data["value"] >= 1:
            server.post("/interrupt", {})

    with pytest.raises(PromptError, match="interrupted"):
        server.run(graph, stop)
    assert (
        latent(server, prompt(files, "audio", save={"filename_prefix": "latents/after"})).shape[0]
        == 6 + PADDING
    )


@pytest.mark.parametrize(("changes", "words"), [
    ({"condition": {"frames": 7}},
    "audio and motion last 6 and 6 frames at 12.5 per second. Set frames to 6 or less"),
    ({"condition": {"face_index": 3}}, "ACTalker Conditioning: face_index is 3"),
    ({"condition": {"audio_gate_curve": "loud"}},
    "ACTalker Conditioning: audio_gate_curve: 'loud' is no number"),
    ({"motion": {"fps": 0.0}}, "ACTalker Motion from Video: fps is 0"),
    ({"model": {"file": "plain_svd.safetensors"}}, "plain Stable Video Diffusion UNet"),
])  # fmt: skip
def test_what_is_wrong_is_said(server, files, changes, words):
    plain = server.models / "diffusion_models" / "plain_svd.safetensors"
    if not plain.exists():
        save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(320, 8, 3, 3)}, plain)
    assert words in failure(server, prompt(files, **changes))


@pytest.mark.parametrize(("shape", "value", "words"), [
    ((512, 512), 0.0, "audio_mask is black everywhere"),
    ((200, 100), 1.0, "audio_mask is 100x200, but image is 512x512"),
])  # fmt: skip
def test_masks_that_cannot_be_are_refused(server, files, shape, value, words):
    graph = prompt(files)
    graph["mask"] = {
        "class_type": "SolidMask",
        "inputs": {"value": value, "width": shape[1], "height": shape[0]},
    }
    graph["condition"]["inputs"]["audio_mask"] = ["mask", 0]
    assert words in failure(server, graph)


def test_a_missing_file_says_where_it_belongs(server, files):
    path = server.models / "actalker" / "vasa_linear-136000.pth"
    path.rename(path.with_suffix(".away"))
    try:
        message = failure(server, prompt(files, save={"filename_prefix": "latents/missing"}))
        assert (
            "vasa_linear-136000.pth" in message
            and "models/actalker/" in message
            and "Motion from Video" in message
        )
        torch.save({"something": torch.zeros(2)}, path)
        assert "it holds no proj1.weight, so it is not ACTalker's motion projector" in failure(
            server, prompt(files)
        )
    finally:
        path.unlink(missing_ok=True)
        path.with_suffix(".away").rename(path)


def test_a_face_motion_drives_it_through_drawn_pictures(server, files):
    graph = talking_prompt("talking_portrait_astronaut.png", files["voice"])
    del graph["video"], graph["save"]
    graph |= {
        "drawn": {"class_type": "TalkingPortraitRender",
        "inputs": {"portrait": ["portrait", 0], "face_motion": ["motion", 0]}},
        "drawn points": landmarks(["drawn", 0]),
        "driving": {
            "class_type": "TalkingPortraitACTalkerMotionFromVideo",
            "inputs": {
                "images": ["drawn", 0], "face_landmarks": ["drawn points", 0], "fps": ["drawn", 1],
                "face_index": 0,
                "missing_face": "error",
            },
        },
        "show": {"class_type": "PreviewAny", "inputs": {"source": ["driving", 1]}},
    }  # fmt: skip
    assert server.run(graph)["show"]["text"] == ["7"]  # of 13 drawn frames


def test_odd_sizes_and_other_rates(server, files):
    """A portrait of 333 x 500 pixels; the driving frames said to be of 30 per second."""
    graph = prompt(files, motion={"fps": 30.0})
    graph["odd"] = {
        "class_type": "ImageScale",
        "inputs": {
            "image": ["image", 0],
            "upscale_method": "area",
            "width": 333,
            "height": 500,
            "crop": "disabled",
        },
    }
    graph["points"]["inputs"]["image"] = graph["condition"]["inputs"]["image"] = ["odd", 0]
    assert latent(server, graph).shape == (5 + PADDING, 4, 16, 8)  # 500/333 * 64 rounds to 128, as published


def test_a_driving_video_without_a_face_is_refused(server, files):
    graph = prompt(files, "motion")
    graph["grey"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 3, "color": 0x808080},
    }
    graph["driving points"]["inputs"]["image"] = ["grey", 0]
    graph["motion"]["inputs"] |= {"images": ["grey", 0], "missing_face": "hold"}
    message = failure(server, graph)
    assert "face" in message and "Motion from Video" in message
