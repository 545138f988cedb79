"""ACTalker's nodes: what they refuse, and how they read masks, gates and driving faces."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from talking_portrait.models.actalker.conditioning import Stream
from talking_portrait.models.actalker.regions import Regions
from talking_portrait.nodes import actalker_conditioning, actalker_sampling
from talking_portrait.nodes.actalker import driving_points
from talking_portrait.nodes.actalker_conditioning import CONDITION, gate, own_region, usual_regions
from talking_portrait.nodes.actalker_parts import actalker_part

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
    lambda model: actalker_sampling.ACTalkerGuiderNode.execute(model, [[torch.zeros(1, 1, 4), {}]], 2.0, 7.5, 3.0),
])  # fmt: skip
def test_the_plain_svd_model_of_a_checkpoint_is_refused(use):
    with pytest.raises(ValueError, match="model is SVD_img2vid, not ACTalker. Connect the MODEL of Load ACTalker"):
        use(SimpleNamespace(model=SVD_img2vid()))


def test_a_white_mask_is_the_published_mode_in_which_both_act_everywhere():
    white = own_region(torch.ones(1, 90, 120), PICTURE, "audio_mask", SIZE)
    by_mask, official = Regions(white, white), Regions(*usual_regions("official", [STREAM, STREAM], {}, 0, white, SIZE))
    for height, width in ((8, 16), (4, 8), (2, 4)):
        assert by_mask.at(height, width, CPU) == official.at(height, width, CPU)


def test_one_signal_alone_has_the_face_as_in_the_published_modes():
    face = torch.rand(1, 1, 64, 128)
    assert usual_regions("official", [STREAM, None], {}, 0, face, SIZE) == (face, face)


@pytest.mark.parametrize(("mask", "words"), [
    (torch.zeros(1, 90, 120), "audio_mask is black everywhere"),
    (torch.ones(7, 90, 120), "audio_mask holds 7 masks"),
    (torch.ones(1, 64, 64), "audio_mask is 64x64, but image is 120x90"),
    (torch.nn.functional.pad(torch.ones(1, 1, 1), (0, 119, 0, 89)), "audio_mask is too small"),
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
    with pytest.raises(ValueError, match=r"missing in 1 of 2 frames: 4 .*other faces are there in 4\. Choose missing_face: hold"):
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
    """12 of 37 frames: two chunks from the first frame, the second whole, since the decoder mixes what it gets together."""
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
    """Workflows saved before the curves were there have no values for them."""
    optional = actalker_conditioning.ACTalkerConditioning.GET_NODE_INFO_V1()["input"]["optional"]
    assert {"audio_gate_curve", "motion_gate_curve"} <= optional.keys()
