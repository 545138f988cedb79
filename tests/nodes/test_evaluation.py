"""Evaluate Talking Video and Compare Videos on the shipped driving film; SyncNet with a file of random numbers."""

import json
from pathlib import Path

import folder_paths
import pytest
import torch
from comfy_api.latest import InputImpl, Types
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.models.measures.descriptions import MEASURES
from talking_portrait.models.measures.syncnet import SyncNet
from talking_portrait.nodes import measuring_networks
from talking_portrait.nodes.evaluation import CompareVideos, EvaluateTalkingVideo
from talking_portrait.tools.random_state import random_state

from ..models.film_samples import film

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "talking_portrait_driving.mp4"


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def detector():
    return load_face_detector()


def video(count: int = 12, **changes):
    """Some frames of the shipped portrait, without sound."""
    made = film(count)
    return InputImpl.VideoFromComponents(
        Types.VideoComponents(images=made.images, frame_rate=made.fps, audio=None, **changes)
    )


@pytest.mark.slow
def test_a_film_is_told_in_words_and_in_json(detector):
    first = InputImpl.VideoFromFile(str(SAMPLE), duration=1.6)
    words, text, lag, correlation = EvaluateTalkingVideo.execute(
        first, detector, 0, None, 20, False, False
    ).result
    values = json.loads(text)
    assert abs(lag) < 2 and correlation > 0.4 and values["lip_lag"] == lag
    assert values["face_found"] == 1 and values["pbm_spoken"] > 0
    assert all(MEASURES[name].name in words for name in values if name != "notes")


def test_widgets_stand_where_saved_workflows_have_their_values():
    """The page puts required ones before optional ones; those of before the menus keep their places."""
    for node, before in ((EvaluateTalkingVideo, ["face_index", "sharpness_every", "syncnet", "official"]),
                         (CompareVideos, ["face_index", "official"])):  # fmt: skip
        widgets = [one for one in node.define_schema().inputs if hasattr(one, "default")]
        placed = [one.id for one in sorted(widgets, key=lambda one: bool(one.optional))]
        assert placed[: len(before)] == before


def test_a_film_without_sound_says_what_is_missing(detector):
    words, text, lag, correlation = EvaluateTalkingVideo.execute(
        video(), detector, 0, None, 5, False, False
    ).result
    assert (lag, correlation) == (0, 0) and "no sound" in words and "lip_lag" not in json.loads(text)


@pytest.mark.slow
def test_syncnet_s_file_is_asked_for_before_anything_runs_and_then_read(detector, tmp_path, monkeypatch):
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "measures", ([str(tmp_path)], {".model"}))
    with pytest.raises(ValueError, match=r"syncnet_v2.model .* was not found"):
        EvaluateTalkingVideo.validate_inputs(syncnet="syncnet_v2.model")
    assert EvaluateTalkingVideo.validate_inputs(syncnet="off") is True
    assert EvaluateTalkingVideo.validate_inputs(syncnet=False) is True, "of a workflow from before the menu"
    with pytest.raises(ValueError, match=r"2 files are missing.*\n.*syncnet_v2.*\n.*hopenet_robust_alpha1"):
        EvaluateTalkingVideo.validate_inputs(syncnet=True, hopenet="hopenet_robust_alpha1.pkl")
    with torch.device("meta"):
        network = SyncNet()
    torch.save(random_state(network, 1), tmp_path / "syncnet_v2.model", _use_new_zipfile_serialization=False)
    folder_paths.filename_list_cache.clear()
    assert EvaluateTalkingVideo.validate_inputs(syncnet=True) is True
    assert EvaluateTalkingVideo.fingerprint_inputs(syncnet=True) != EvaluateTalkingVideo.fingerprint_inputs()
    sound = {"waveform": torch.rand(1, 1, 16000 * 2) - 0.5, "sample_rate": 16000}
    with pytest.raises(ValueError, match="over 24 frames, and video has none"):
        EvaluateTalkingVideo.execute(video(), detector, 0, sound, 5, True, False)
    first = InputImpl.VideoFromFile(str(SAMPLE), duration=1.4)
    values = json.loads(EvaluateTalkingVideo.execute(first, detector, 0, None, 40, True, False).result[1])
    assert values["lse_d"] > 0 and values["lse_c"] >= 0 and -15 <= values["sync_offset"] <= 15


def test_a_film_is_no_distance_from_itself_and_some_from_a_darker_one(detector):
    same = CompareVideos.execute(video(), video(), detector, 0, False).result
    assert same[2:] == (100.0, 1.0, 0.0) and json.loads(same[1])["psnr"] == "inf"
    made = film(12)
    darker = InputImpl.VideoFromComponents(
        Types.VideoComponents(images=made.images * 0.8, frame_rate=made.fps, audio=None)
    )
    words, _, psnr, ssim, _ = CompareVideos.execute(darker, video(), detector, 0, False).result
    assert 10 < psnr < 30 and 0.8 < ssim < 1 and "PSNR" in words


def test_a_detector_of_another_pack_and_a_film_without_a_face_are_named(detector):
    with pytest.raises(ValueError, match="Compare Videos: face_detection_model"):
        CompareVideos.execute(video(), video(), object(), 0, False)
    blank = InputImpl.VideoFromComponents(
        Types.VideoComponents(images=torch.zeros(4, 64, 64, 3), frame_rate=film(1).fps, audio=None)
    )
    with pytest.raises(ValueError, match="Evaluate Talking Video: .*at most 0 faces"):
        EvaluateTalkingVideo.execute(blank, detector, 0, None, 5, False, False)


class TinyFeatures(torch.nn.Module):
    """Frames [n,3,H,W] or clips [n,3,T,H,W] -> [n,3]; takes what the real networks are built with."""

    def __init__(self, device=None, dtype=None, operations=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3, device=device, dtype=dtype))

    def forward(self, pictures):
        return pictures.flatten(2).mean(2) * self.weight


@pytest.fixture
def tiny_files(tmp_path, monkeypatch):
    """Small networks, and a file for each of Compare Videos' menus."""
    for name, state in (
        ("ArcFace", None),
        ("FeatureInception", "inception_state"),
        ("FeatureI3D", "i3d_state"),
    ):
        monkeypatch.setattr(measuring_networks, name, TinyFeatures)
        if state:
            monkeypatch.setattr(measuring_networks, state, dict)
    for folder in ("measures", "actalker"):
        (tmp_path / folder).mkdir()
        monkeypatch.setitem(
            folder_paths.folder_names_and_paths, folder, ([str(tmp_path / folder)], {".pt", ".pth"})
        )
    for file in (
        "actalker/backbone.pth",
        "measures/pt_inception-2015-12-05-6726825d.pth",
        "measures/mine.pt",
    ):
        torch.save({"weight": torch.tensor([1.0, 2.0, 3.0])}, tmp_path / file)
    folder_paths.filename_list_cache.clear()
    yield tmp_path
    folder_paths.filename_list_cache.clear()


def test_compare_takes_every_network_from_its_menu(detector, tiny_files):
    menus = {menu.id: menu.options for menu in CompareVideos.file_menus()}
    assert menus["arcface"] == ["off", "backbone.pth"] and menus["i3d"] == [
        "off",
        "rgb_charades.pt",
        "mine.pt",
    ]
    assert menus["alexnet"][:2] == ["off", "alexnet-owt-7be5be79.pth"]
    with pytest.raises(ValueError, match="rgb_charades.pt .* was not found"):
        CompareVideos.validate_inputs(i3d="rgb_charades.pt")
    chosen = {
        "arcface": "backbone.pth",
        "inception": "pt_inception-2015-12-05-6726825d.pth",
        "i3d": "mine.pt",
    }
    assert CompareVideos.validate_inputs(**chosen) is True
    given = {"face_detection_model": detector, "face_index": 0, "official": False, **chosen}
    values = json.loads(CompareVideos.execute(video=video(), reference=video(), **given).result[1])
    assert values["identity"] == pytest.approx(1, abs=1e-3) and values["fid"] == pytest.approx(0, abs=1e-6)
    assert "fvd" not in values and any("i3d: FVD needs two clips" in note for note in values["notes"])
    torch.save({"other": torch.ones(2)}, tiny_files / "measures" / "mine.pt")
    with pytest.raises(ValueError, match="Compare Videos: mine.pt does not fit this network"):
        CompareVideos.execute(video=video(), reference=video(), **given)
