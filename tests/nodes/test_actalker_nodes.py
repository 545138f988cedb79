"""ACTalker's nodes: what they refuse, and how they read masks, gates and driving faces."""

import functools
import gc
import os
from types import SimpleNamespace

import folder_paths
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from talking_portrait.models.actalker.checkpoint import unet_state
from talking_portrait.models.actalker.conditioning import Stream
from talking_portrait.models.actalker.core_model import load_core_model
from talking_portrait.models.actalker.regions import Regions
from talking_portrait.nodes import actalker_conditioning, actalker_sampling
from talking_portrait.nodes.actalker import ACTalkerMotionFromVideo, LoadACTalker, driving_points
from talking_portrait.nodes.actalker_conditioning import (
    CONDITION,
    check_acts,
    check_needed,
    gate,
    own_region,
    usual_regions,
)
from talking_portrait.nodes.actalker_parts import actalker_part
from talking_portrait.nodes.catalogue.shared_models import shared_models
from talking_portrait.tools.golden_cases.actalker import weights
from talking_portrait.tools.goldens import COPIES, GoldenCase

CPU = torch.device("cpu")
PICTURE = torch.zeros(90, 120, 3)
SIZE = (128, 64)  # of the film
FACE = np.zeros((478, 3), np.float32)
STREAM = Stream(torch.zeros(3, 1, 2), torch.zeros(1, 2))


class SVD_img2vid:  # the name of core's class
    pass


@pytest.mark.parametrize("use", [
    lambda model: actalker_sampling.ACTalkerContextWindows.execute(model, 25, 0, 7),
    lambda model: actalker_sampling.ACTalkerGuidance.execute(model, 2.0, 7.5, 3.0),
    lambda model: actalker_sampling.ACTalkerGuiderNode.execute(model, [[torch.zeros(1, 1, 4), {}]], 2.0, 7.5,
    3.0),
])  # fmt: skip
def test_the_plain_svd_model_of_a_checkpoint_is_refused(use):
    with pytest.raises(
        ValueError, match="model is SVD_img2vid, not ACTalker. Connect the MODEL of Load ACTalker"
    ):
        use(SimpleNamespace(model=SVD_img2vid()))


def test_a_white_mask_is_the_published_mode_in_which_both_act_everywhere():
    white = own_region(torch.ones(1, 90, 120), PICTURE, "audio_mask", SIZE)
    by_mask, official = (
        Regions(white, white),
        Regions(*usual_regions("official", [STREAM, STREAM], {}, 0, white, SIZE)),
    )
    for height, width in ((8, 16), (4, 8), (2, 4)):
        assert by_mask.at(height, width, CPU) == official.at(height, width, CPU)


def test_one_signal_alone_has_the_face_as_in_the_published_modes():
    face = torch.rand(1, 1, 64, 128)
    assert usual_regions("official", [STREAM, None], {}, 0, face, SIZE) == (face, face)


@pytest.mark.parametrize(("mask", "words"), [
    (torch.zeros(1, 90, 120), "audio_mask is black everywhere"),
    (torch.ones(1, 64, 64), "audio_mask is 64x64, but image is 120x90"),
    (torch.nn.functional.pad(torch.ones(1, 1, 1), (0, 119, 0, 89)), "audio_mask is too small"),
    (0.9 * torch.ones(1, 90, 120), r"audio_mask is nowhere fully white .*its lightest value is 0.90"),
])  # fmt: skip
def test_masks_that_select_nothing_are_refused(mask, words):
    with pytest.raises(ValueError, match=words):
        own_region(mask, PICTURE, "audio_mask", SIZE)


def test_gates_are_sliders_times_a_curve():
    assert gate("audio", 0.5, -0.05, "").over(3).flatten().tolist() == [0.5, 0.5, 0.5]
    opened = gate("audio", 0.8, -0.05, "0.08:0, 0.16:1").over(4).flatten().tolist()
    assert opened == pytest.approx([0.0, 0.0, 0.8, 0.8])
    assert gate("audio", 1.0, -0.05, "0:0, 2:0").closed and not gate("audio", 0.0, 0.3, "").closed
    with pytest.raises(ValueError, match="ACTalker Conditioning: motion_gate_curve: 0:2 is out of range"):
        gate("motion", 1.0, 1.0, "0:2, 1:1")


def test_driving_frames_without_the_face_are_named_or_held():
    found, landmarks = [FACE, None, FACE + 1, None, None], {"frames": [[1], [], [1], [], [1]]}
    with pytest.raises(
        ValueError,
        match=r"missing in 1 of 2 frames: 4 .*other faces are there in 4\. Choose missing_face: hold",
    ):
        driving_points(found, [0, 4], landmarks, hold=False)
    held = driving_points(found, [0, 2, 4], landmarks, hold=True)
    assert [points[0, 0] for points in held] == [0, 1, 1]
    with pytest.raises(ValueError, match="Choose another video"):
        driving_points([None, FACE], [0, 1], landmarks, hold=True)


def test_identity_without_arcface_says_what_to_get_where():
    with pytest.raises(ValueError, match="backbone.pth") as problem:
        actalker_part("arcface", CONDITION)
    said = str(problem.value)
    assert said.startswith("ACTalker Conditioning: ") and "non-commercial research" in said
    assert "https://github.com/deepinsight/insightface" in said and "ComfyUI/models/actalker/" in said


def test_only_the_asked_frames_are_decoded_ten_at_a_time():
    """12 of 37 frames: two chunks from the first frame, the second whole, since the decoder mixes what it
    gets together."""
    chunks = []

    def decode(latents: torch.Tensor) -> torch.Tensor:
        chunks.append(latents[:, 0, 0, 0].tolist())
        return latents.movedim(1, -1)

    latents = torch.arange(37.0)[:, None, None, None].expand(-1, 4, 2, 2)
    run = actalker_sampling.ACTalkerDecode.execute
    (film,) = run({"samples": latents}, SimpleNamespace(decode=decode), 12).result
    assert chunks == [list(range(10)), list(range(10, 20))] and film[:, 0, 0, 0].tolist() == list(range(12))
    (film,) = run({"samples": latents}, SimpleNamespace(decode=decode), 0).result
    assert len(film) == 37 - 25
    with pytest.raises(ValueError, match="frames is 38, but samples holds 37"):
        run({"samples": latents}, SimpleNamespace(decode=decode), 38)


def test_new_inputs_may_be_absent():
    """Workflows saved before they were there have no values for them; those of today stand last, so that old
    values fit."""
    optional = actalker_conditioning.ACTalkerConditioning.GET_NODE_INFO_V1()["input"]["optional"]
    new = ["audio_gate_curve", "motion_gate_curve", "motion_bucket", "expression_bucket", "adapter_scale"]
    files = ["arcface_file", "identity_file", "pose_file"]
    assert list(optional)[-8:] == new + files
    assert [optional[name][1]["default"] for name in new[2:]] == [12, 20, 1.25]


def test_what_is_set_for_a_signal_that_is_not_there_is_said():
    """Masks, gates and curves without their signal were ignored."""
    check_acts("audio", STREAM, 0.5, 0.7, "0:1", torch.ones(1, 2, 2))
    check_acts("audio", None, 1.0, -0.05, "", None)
    check_acts("audio", None, 0.0, 0.0, "", None)
    with pytest.raises(
        ValueError, match="audio_gate and audio_mask would do nothing, since actalker_audio is empty"
    ):
        check_acts("audio", None, 0.5, -0.05, "", torch.ones(1, 2, 2))
    check_needed("official", {"audio_mask": torch.ones(1), "motion_mask": None})
    with pytest.raises(
        ValueError, match="regions is official, but audio_mask and motion_mask say where both act"
    ):
        check_needed("official", {"audio_mask": torch.ones(1), "motion_mask": torch.ones(1)})
    with pytest.raises(
        ValueError,
        match="motion_gate_end and motion_gate_curve would do nothing, since actalker_motion is empty",
    ):
        check_acts("motion", None, 1.0, 0.5, "0:0, 1:1", None)


@pytest.fixture
def unet_file(tmp_path, monkeypatch):
    """A tiny UNet as a file in the menu; its heads of 16 are told by no tensor."""
    state = unet_state(weights(GoldenCase(COPIES / "actalker" / "pipeline_tiny.public.golden.json"), "unet"))
    save_file(state, tmp_path / "actalker.safetensors")
    monkeypatch.setitem(
        folder_paths.folder_names_and_paths, "diffusion_models", ([str(tmp_path)], {".safetensors"})
    )
    monkeypatch.setattr(
        "talking_portrait.nodes.actalker.load_core_model", functools.partial(load_core_model, head_dim=16)
    )
    folder_paths.filename_list_cache.clear()
    yield tmp_path / "actalker.safetensors"
    folder_paths.filename_list_cache.clear()


def load(dtype: str = "fp32"):
    return LoadACTalker.execute("actalker.safetensors", dtype).result[0]


@pytest.mark.slow
def test_two_loads_of_one_file_share_one_model(unet_file):
    """Each was a model of its own, 3.6 GB twice."""
    first, second = load(), load()
    assert first is not second and first.model is second.model and first.is_clone(second)
    first.model_options["transformer_options"]["mine"] = True
    assert "mine" not in second.model_options["transformer_options"]
    assert load("bf16").model is not first.model
    key = LoadACTalker.fingerprint_inputs(file="actalker.safetensors", weight_dtype="fp32")
    os.utime(unet_file, ns=(1, 1))
    assert LoadACTalker.fingerprint_inputs(file="actalker.safetensors", weight_dtype="fp32") != key
    assert load().model is not first.model
    held = len(shared_models())
    del first, second
    gc.collect()
    assert len(shared_models()) < held


def test_other_files_and_missing_ones_are_explained(unet_file):
    save_file({"weight": torch.zeros(3)}, unet_file)
    with pytest.raises(
        ValueError,
        match="^Load ACTalker: .*actalker.safetensors cannot be used: weight is no tensor of ACTalker",
    ):
        load()
    unet_file.write_bytes(b"no weights at all")
    with pytest.raises(ValueError, match="^Load ACTalker: actalker.safetensors cannot be read"):
        load()
    unet_file.unlink()
    with pytest.raises(
        ValueError, match="^Load ACTalker: file is 'actalker.safetensors', which is not in its menu"
    ):
        load()


def driving(size: tuple[int, int], eyes: tuple[int, int]) -> dict:
    """Landmarks of two frames with a face whose outer corners of the eyes lie at these x."""
    points = np.random.default_rng(0).uniform(10, 30, (478, 2))
    points[33], points[263] = (eyes[0], 20), (eyes[1], 20)
    face = {
        "bbox_xyxy": np.array([10, 10, 30, 30]),
        "landmarks_xy": points,
        "landmarks_3d": np.zeros((478, 3)),
    }
    return {"frames": [[face], [face]], "image_size": size}


def test_landmarks_that_do_not_fit_the_film_are_refused():
    images, run = torch.zeros(2, 40, 40, 3), ACTalkerMotionFromVideo.execute
    with pytest.raises(ValueError, match="face_landmarks were found in a 80x80 picture, but image is 40x40"):
        run(images, driving((80, 80), (12, 28)), 25.0, 0, "error")
    with pytest.raises(ValueError, match="images has 3 frames, but face_landmarks 2"):
        run(torch.zeros(3, 40, 40, 3), driving((40, 40), (12, 28)), 25.0, 0, "error")
    with pytest.raises(
        ValueError, match="^ACTalker Motion from Video: the face in face_landmarks is upside down"
    ):
        run(images, driving((40, 40), (28, 12)), 25.0, 0, "error")
