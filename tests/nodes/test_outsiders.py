"""Engines and renderers of other packs in our nodes: plain mappings are enough, and who breaks the contract
is named."""

from fractions import Fraction

import folder_paths
import numpy as np
import pytest
import torch
from talking_portrait.nodes.audio import GenerateFaceMotion
from talking_portrait.nodes.portrait import PreparePortrait
from talking_portrait.nodes.rendering import RenderPortrait
from talking_portrait.nodes.stream import GenerateFaceMotionLive, StreamTalkingPortrait

from ..models.engine_samples import engine_pack

TIME = torch.arange(16000) / 16000
SOUND = {"waveform": (torch.sin(800 * TIME) * torch.sin(9 * TIME))[None, None], "sample_rate": 16000}
SETTINGS = {"seed": 1, "mouth_amount": 1.0, "head_amount": 1.0, "blink_rate": 18.0}
IMAGE = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))


def landmarks() -> dict:
    points = np.full((478, 3), 32.0, np.float32)
    points[[13, 152, 61, 291], :2] = (32, 30), (32, 50), (20, 34), (44, 34)
    face = {"bbox_xyxy": [10.0, 10.0, 54.0, 54.0], "landmarks_xy": points[:, :2], "landmarks_3d": points}
    return {"frames": [[face]], "image_size": (64, 64)}


class Parrot:
    """Moves the jaw while it hears, two frames at a time; all it gives are plain mappings."""

    id, native_fps, reads = "parrot", Fraction(10), frozenset({"mouth_amount"})
    look_ahead = latency = 0.2

    def __init__(self):
        self.heard = 0

    def moved(self, count):
        return {"controls": {"jawOpen": torch.full((count,), 1.0)}}

    def generate(self, speech, fps, seed, settings, progress, portrait=None):
        return self.moved(round(speech.seconds * fps))

    def stream(self, speech, seed, settings, progress):
        for _ in range(round(speech.seconds * self.native_fps) // 2):
            yield self.moved(2)

    def begin(self, seed, settings):
        return Parrot()

    def branch(self):
        other = Parrot()
        other.heard = self.heard
        return other

    def push(self, speech, last=False):
        self.heard += 1
        return self.moved(self.heard)


@pytest.fixture(autouse=True)
def inference(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    with torch.inference_mode():
        yield


def prepared(renderer):
    return PreparePortrait.execute(renderer, IMAGE, landmarks(), 0, None, torch.ones(1, 64, 64)).result[0]


def test_a_film_by_an_engine_and_a_renderer_that_know_nothing_of_this_pack():
    motion = GenerateFaceMotion.execute(
        motion_engine=engine_pack().LoudnessJaw(),
        audio=SOUND,
        fps=25.0,
        brow_amount=1.0,
        silence_threshold=-38.0,
        **SETTINGS,
    ).result[0]
    assert len(motion) == 25 and motion.controls[:, 0].max() == 1
    images, fps = RenderPortrait.execute(prepared(engine_pack().PuppetJaw()), motion).result
    assert images.shape == (25, 64, 64, 3) and fps == 25 and images.std(0)[30:50, 20:44].max() > 0.05


def test_any_engine_that_streams_goes_into_the_live_nodes():
    film, motion = StreamTalkingPortrait.execute(
        portrait=prepared(engine_pack().PuppetJaw()),
        motion_engine=Parrot(),
        audio=SOUND,
        crf=16.0,
        **SETTINGS,
    ).result
    assert len(motion) == 10 and motion.fps == 10 and film.get_components().images.shape[0] == 10
    first, state, latency = GenerateFaceMotionLive.execute(
        motion_engine=Parrot(), audio=SOUND, last=False, **SETTINGS
    ).result
    for _ in range(2):  # a state can be used twice
        second = GenerateFaceMotionLive.execute(
            motion_engine=Parrot(), audio=SOUND, last=False, state=state, **SETTINGS
        ).result[0]
        assert (len(first), len(second), latency) == (1, 2, 0.2)


def test_an_engine_that_hears_the_whole_sound_is_refused_by_the_live_nodes():
    with pytest.raises(ValueError, match="motion_engine is loudness jaw, which hears the whole sound"):
        GenerateFaceMotionLive.execute(
            motion_engine=engine_pack().LoudnessJaw(), audio=SOUND, last=True, **SETTINGS
        )


@pytest.mark.parametrize(("member", "given", "reason"), [
    ("prepare", 5,
    "puppet jaw prepared no mapping but a int; a portrait is made of features, motion, policy, image"),
    ("prepare", {"feature": 1}, "puppet jaw prepared feature; a portrait is made of features"),
    ("prepare", {"motion": {"pose": [0, 0, 0]}}, "a face has neither expression nor controls"),
    ("render", torch.zeros(1, 64, 64),
    r"puppet jaw drew \(1, 64, 64\) where \(1, 64, 64, 3\) in 0..1 was asked for"),
    ("render", None, "puppet jaw drew NoneType where"),
])  # fmt: skip
def test_a_renderer_that_breaks_the_contract_is_named(monkeypatch, member, given, reason):
    renderer = engine_pack().PuppetJaw()
    monkeypatch.setattr(renderer, member, lambda *_: given, raising=False)
    still = {"fps": 25, "controls": {"jawOpen": [0.0]}}
    with pytest.raises(ValueError, match=reason):
        RenderPortrait.execute(prepared(renderer), still)


def test_an_object_that_lacks_a_part_of_the_contract_is_told_which():
    class Half:
        id = "half"

        def generate(self):
            pass

    with pytest.raises(
        ValueError, match="motion_engine is a Half without native_fps, reads, which MOTION_ENGINE needs"
    ):
        GenerateFaceMotionLive.execute(motion_engine=Half(), audio=SOUND, last=True, **SETTINGS)
