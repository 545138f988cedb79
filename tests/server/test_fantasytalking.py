"""FantasyTalking's nodes in the real server: a tiny Wan2.1 file through core's loader and samplers, a
full-size speech encoder."""

import json
import re

import numpy as np
import pytest
import torch
from talking_portrait.tools.workflow_drafts import DRAFTS, shipped

from .prompts import failure, landmarks, video_facts, write_wav
from .prompts import saved_latent as latent

# A Wan and an encoder of speech, and twenty films.
pytestmark = pytest.mark.slow

FRAMES = 9


@pytest.fixture(scope="module")
def files(server, fantasytalking_weights, tmp_path_factory) -> dict[str, str]:
    """Random weights where the loaders look, and a second of voice-like sound in stereo at 44.1 kHz."""
    t = np.arange(44100) / 44100
    sound = 0.3 * np.sin(2 * np.pi * 150 * t) * (1 + np.sin(2 * np.pi * 3 * t))
    path = write_wav(tmp_path_factory.mktemp("voice") / "voice.wav", np.stack([sound, 0.5 * sound]), 44100)
    return {"voice": server.add_input(path)}


def prompt(files: dict[str, str], **changes) -> dict:
    """Core's sampler on a Wan that hears; ends in a saved latent."""
    graph = {
        "wan": {"class_type": "UNETLoader",
        "inputs": {"unet_name": "tiny_wan.safetensors", "weight_dtype": "default"}},
        "ft": {"class_type": "TalkingPortraitLoadFantasyTalking",
        "inputs": {"file": "fantasytalking_model.ckpt"}},
        "encoder": {"class_type": "TalkingPortraitLoadSpeechEncoder",
        "inputs": {"file": "wav2vec2-base-960h.safetensors"}},
        "voice": {"class_type": "LoadAudio", "inputs": {"audio": files["voice"]}},
        "text": {"class_type": "ProbeConditioning", "inputs": {"seed": 1}},
        "negative": {"class_type": "ProbeConditioning", "inputs": {"seed": 2}},
        "audio": {
            "class_type": "TalkingPortraitFantasyTalkingAudio",
            "inputs": {
                "fantasytalking": ["ft", 0], "audio_encoder": ["encoder", 0], "audio": ["voice", 0],
                "positive": ["text", 0],
                "frames": FRAMES, "fps": 23.0, "fit": "pad with silence",
            },
        },
        "apply": {
            "class_type": "TalkingPortraitApplyFantasyTalking",
            "inputs": {"model": ["wan", 0], "fantasytalking": ["ft", 0], "audio_scale": 1.0, "masked": True},
        },
        "guide": {
            "class_type": "TalkingPortraitFantasyTalkingGuidance",
            "inputs": {"model": ["apply", 0], "audio_cfg": 4.5, "audio_cfg_end": 4.5},
        },
        "sigmas": {"class_type": "TalkingPortraitFantasyTalkingSigmas", "inputs": {"steps": 3, "shift": 5.0}},
        "euler": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "latent": {
            "class_type": "EmptyHunyuanLatentVideo",
            "inputs": {"width": 64, "height": 64, "length": ["audio", 1], "batch_size": 1},
        },
        "sample": {
            "class_type": "SamplerCustom",
            "inputs": {
                "model": ["guide", 0], "add_noise": True, "noise_seed": 7, "cfg": 5.0,
                "positive": ["audio", 0],
                "negative": ["negative", 0], "sampler": ["euler", 0], "sigmas": ["sigmas", 0],
                "latent_image": ["latent", 0],
            },
        },
        "save": {"class_type": "SaveLatent",
        "inputs": {"samples": ["sample", 0], "filename_prefix": "latents/ft"}},
    }  # fmt: skip
    for title, inputs in changes.items():
        graph[title]["inputs"].update(inputs)
    return graph


def test_core_samples_what_it_hears(server, files):
    loud = latent(server, prompt(files))
    assert loud.shape == (1, 16, 3, 8, 8) and torch.isfinite(loud).all()
    deaf = latent(server, prompt(files, apply={"audio_scale": 0.0}))
    unpatched = latent(server, prompt(files, sample={"model": ["wan", 0], "positive": ["text", 0]}))
    assert (loud - deaf).abs().max() > 0.01, "the audio changes nothing"
    assert torch.allclose(deaf, unpatched, atol=1e-4), "without audio something is left of the patch"
    again = latent(server, prompt(files, save={"filename_prefix": "latents/again"}))
    assert torch.equal(loud, again)


def test_a_wan_kept_in_fp8_hears_the_same(server, files):
    """Core's loader with fp8_e4m3fn: the film is near the one of float32, and far from one without audio."""
    exact = latent(server, prompt(files, save={"filename_prefix": "latents/float32"}))
    small = {"wan": {"weight_dtype": "fp8_e4m3fn"}}
    loud = latent(server, prompt(files, **small, save={"filename_prefix": "latents/fp8"}))
    deaf = latent(
        server,
        prompt(files, **small, save={"filename_prefix": "latents/fp8_deaf"}, apply={"audio_scale": 0.0}),
    )
    coarse, heard = (float((loud - other).square().mean().sqrt() / exact.std()) for other in (exact, deaf))
    assert 1e-4 < coarse < 0.2 < 0.4 < heard, f"fp8 changes {coarse:.3f}, audio {heard:.3f}"


def test_more_frames_than_were_trained_go_through_context_windows(server, files):
    graph = prompt(files, audio={"frames": 41})
    graph["windows"] = {
        "class_type": "WanContextWindowsManual",
        "inputs": {
            "model": ["apply", 0], "context_length": 17, "context_overlap": 4,
            "context_schedule": "standard_static",
            "context_stride": 1, "closed_loop": False, "fuse_method": "pyramid", "freenoise": False,
            "retain_first_frame": False, "split_conds_to_windows": False,
        },
    }  # fmt: skip
    graph["guide"]["inputs"]["model"] = ["windows", 0]
    result = latent(server, graph)
    assert result.shape == (1, 16, 11, 8, 8) and torch.isfinite(result).all()


def test_frames_from_the_audio(server, files):
    assert latent(server, prompt(files, audio={"frames": 0})).shape[2] == 7  # 1 s at 23 fps: 25 frames


def test_a_later_part_hears_later_sound(server, files):
    first, second = (latent(server, prompt(files, audio={"start_frame": start})) for start in (0, 8))
    assert (first - second).abs().max() > 1e-3
    assert "from frame 40 at 23 fps on 0.000 s are left" in failure(
        server, prompt(files, audio={"start_frame": 40})
    )


def test_the_chinese_encoder_is_refused(server, files):
    message = failure(server, prompt(files, encoder={"file": "chinese-wav2vec2-base.safetensors"}))
    assert "not facebook/wav2vec2-base-960h" in message and "chinese-wav2vec2-base" in message


def test_cores_own_encoder_loader_is_refused(server, files):
    graph = prompt(files)
    graph["encoder"] = {
        "class_type": "AudioEncoderLoader",
        "inputs": {"audio_encoder_name": "wav2vec2-base-960h.safetensors"},
    }
    assert "Choose that in Load Speech Encoder" in failure(server, graph)


def test_a_wrong_number_of_frames_is_named(server, files):
    assert "frames is 10" in failure(server, prompt(files, audio={"frames": 10}))
    graph = prompt(files)
    graph["latent"]["inputs"]["length"] = 17
    assert "the audio has 3 latent frames, but the video 5" in failure(server, graph)


def test_a_damaged_file_is_named(server, files):
    path = server.models / "model_patches" / "broken.ckpt"
    path.write_bytes(b"404: Not Found")
    message = failure(server, prompt(files, ft={"file": "broken.ckpt"}))
    assert "broken.ckpt cannot be read" in message


# a film of random numbers shows no face to measure
MEASURED = {"fantasytalking_person": ("38", "39", "40")}
WORKFLOWS = [slug for slug in DRAFTS if slug.startswith("fantasytalking")]


@pytest.mark.parametrize("slug", WORKFLOWS)
def test_a_shipped_workflow_runs_to_its_video(server, files, slug):
    """As shipped, but for what a CPU cannot: small weights under other names, a small film, one step, no text
    or CLIP encoder."""
    graph = server.to_prompt(json.loads(shipped(slug).read_text()))
    for key, node in list(graph.items()):
        inputs, kind = node["inputs"], node["class_type"]
        if kind == "UNETLoader":
            inputs["unet_name"] = "tiny_wan.safetensors"
        elif kind == "VAELoader":
            inputs["vae_name"] = "tiny_wan_vae.safetensors"
        elif kind == "CLIPTextEncode":
            graph[key] = {"class_type": "ProbeConditioning", "inputs": {"seed": int(key)}}
        elif kind == "CLIPVisionEncode":
            graph[key] = {
                "class_type": "ProbeClipVision",
                "inputs": {"seed": int(key), "image": inputs["image"]},
            }
        elif kind in ("CLIPLoader", "CLIPVisionLoader") or key in MEASURED.get(slug, ()):
            del graph[key]
        elif kind == "TalkingPortraitFantasyTalkingPicture":
            inputs["longest_edge"] = 128
        elif kind == "TalkingPortraitFantasyTalkingSigmas":
            inputs["steps"] = 1
        elif kind == "TalkingPortraitFantasyTalkingAudio":
            inputs["frames"] = 9
            inputs["start_frame"] = min(inputs["start_frame"], 8)
        elif kind == "ImageFromBatch":
            inputs["batch_index"], inputs["length"] = (8, 1) if inputs["length"] == 1 else (1, 8)
        elif kind == "LoadAudio":
            inputs["audio"] = files["voice"]
        elif kind == "TrimAudioDuration":
            inputs["duration"] = 17 / 23
        elif kind == "LoraLoaderModelOnly":
            inputs["lora_name"] = "tiny_wan_lora.safetensors"
    (video,) = server.output_files(server.run(graph))
    facts = video_facts(video)
    frames = 17 if slug.endswith("continued") else 9
    assert facts["frames"].shape[:3] == (frames, 128, 128) and facts["fps"] == 23 and facts["audio_seconds"]


def test_audio_outside_of_its_region_is_not_heard(server, files):
    graph = prompt(files, save={"filename_prefix": "latents/region"})
    graph["mask"] = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 64, "height": 64}}
    graph["apply"]["inputs"]["region"] = ["mask", 0]
    everywhere = latent(server, graph)
    assert torch.equal(
        everywhere, latent(server, prompt(files, save={"filename_prefix": "latents/no_region"}))
    )
    graph["mask"]["inputs"]["value"] = 0.5
    assert (latent(server, graph) - everywhere).abs().max() > 1e-3
    graph["mask"]["inputs"]["value"] = 0.0
    assert "region is black everywhere" in failure(server, graph)


def test_identity_and_intensity_act_in_core_s_sampler(server, files):
    plain = latent(server, prompt(files, save={"filename_prefix": "latents/plain"}))
    graph = prompt(files, save={"filename_prefix": "latents/extras"})
    graph |= {
        "image": {"class_type": "LoadImage", "inputs": {"image": "talking_portrait_astronaut.png"}},
        "detector": {"class_type": "TalkingPortraitLoadFaceDetector", "inputs": {}},
        "points": landmarks(["image", 0]),
        "identity": {
            "class_type": "TalkingPortraitFantasyTalkingIdentity",
            "inputs": {
                "model": ["apply", 0], "file": "extras.safetensors", "image": ["image", 0],
                "face_landmarks": ["points", 0],
                "face_index": 0, "strength": 0.5,
            },
        },
        "intensity": {
            "class_type": "TalkingPortraitFantasyTalkingIntensity",
            "inputs": {"model": ["identity", 0], "file": "extras.safetensors", "expression": 0.5,
            "body": 0.5},
        },
    }  # fmt: skip
    graph["guide"]["inputs"]["model"] = ["intensity", 0]
    known = latent(server, graph)
    graph["intensity"]["inputs"]["expression"] = 1.0
    lively = latent(server, graph)
    assert (known - plain).abs().max() > 1e-3 and (lively - known).abs().max() > 1e-3
    graph["intensity"]["inputs"] |= {"expression": 0.5}
    graph["identity"]["inputs"]["strength"] = 0.0
    assert torch.equal(latent(server, graph), plain)
    graph["identity"]["inputs"] |= {"strength": 0.5, "file": "fantasytalking_model.ckpt"}
    assert "it has no identity branch" in failure(server, graph)


def test_motion_intensity_is_measured(server, files):
    graph = {
        "film": {"class_type": "LoadVideo", "inputs": {"file": "talking_portrait_driving.mp4"}},
        "parts": {"class_type": "GetVideoComponents", "inputs": {"video": ["film", 0]}},
        "some": {"class_type": "ImageFromBatch",
        "inputs": {"image": ["parts", 0], "batch_index": 0, "length": 40}},
        "detector": {"class_type": "TalkingPortraitLoadFaceDetector", "inputs": {}},
        "points": landmarks(["some", 0]),
        "measure": {
            "class_type": "TalkingPortraitMeasureMotionIntensity",
            "inputs": {"face_landmarks": ["points", 0], "face_index": 0},
        },
        "show": {"class_type": "PreviewAny", "inputs": {"source": ["measure", 2]}},
    }  # fmt: skip
    lively = server.run(graph)["show"]["text"][0]
    graph["some"]["inputs"]["length"] = 1
    assert "a face is needed in at least 2 frames" in failure(server, graph)
    assert re.match(r"Expression: points move by \d\.\d\d % .* in 40 of 40 frames: 0\.\d\d ", lively)
    assert "Body: not measured" in lively
