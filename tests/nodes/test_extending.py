"""docs/EXTENDING.md says what works: its code is run as another pack's would be, in our nodes and menus."""

import re
from pathlib import Path

import pytest
import torch
from talking_portrait.models.contracts import ENGINES, KEYPOINT_EXTRACTORS, SPEECH_ENCODERS
from talking_portrait.models.sampling import DDIM
from talking_portrait.nodes.audio import GenerateFaceMotion
from talking_portrait.nodes.keypoints import LoadKeypointExtractor, PortraitKeypoints
from talking_portrait.nodes.loaders import LoadMotionEngine
from talking_portrait.nodes.speech import EncodeSpeech, LoadSpeechEncoder

from ..models.made_faces import make_face, make_landmarks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "EXTENDING.md"
RATE = 16000
SOUND = {"waveform": torch.linspace(0, 0.2, 2 * RATE).sin()[None, None], "sample_rate": RATE}
MENUS = (ENGINES, KEYPOINT_EXTRACTORS, SPEECH_ENCODERS)


@pytest.fixture(autouse=True)
def inference():
    """As inside ComfyUI."""
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def pack():
    """The code of the page, registered; the menus are afterwards as they were."""
    found: dict = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)), found)  # noqa: S102
    before = [dict(menu) for menu in MENUS]
    found["register"]()
    yield found
    for menu, own in zip(MENUS, before, strict=True):
        menu.clear()
        menu.update(own)


def motion(engine, **given):
    amounts = {"mouth_amount": 1.0, "head_amount": 1.0, "blink_rate": 18.0, "brow_amount": 1.0,
        "silence_threshold": -38.0}  # fmt: skip
    return GenerateFaceMotion.execute(engine, SOUND, 25.0, 3, **amounts, **given).result[0]


def test_its_encoder_hears_for_its_engine_and_for_no_other(pack):
    encoder = LoadSpeechEncoder.execute(speech_encoder={"speech_encoder": "Loudness"}).result[0]
    engine = LoadMotionEngine.execute(engine={"engine": "encoded jaw"}).result[0]
    encoded, rate = EncodeSpeech.execute(encoder, SOUND).result
    assert rate == 50 and encoded["encoded_audio"].shape == (1, 100, 1)
    whole, before = motion(engine), motion(engine, audio_encoder_output=encoded)
    assert len(whole) == 50 and torch.equal(whole.controls, before.controls)
    assert whole.controls[-1, 0] > whole.controls[0, 0]
    with pytest.raises(
        ValueError, match="audio_encoder_output is loudness, but Takin-ADA was trained on the built-in"
    ):
        motion(
            LoadMotionEngine.execute(engine={"engine": "Takin-ADA"}).result[0], audio_encoder_output=encoded
        )
    ours = LoadSpeechEncoder.execute(speech_encoder={"speech_encoder": "built-in"}).result[0]
    with pytest.raises(ValueError, match="is Whisper tiny.en, but encoded jaw was trained on loudness"):
        motion(engine, audio_encoder_output=EncodeSpeech.execute(ours, SOUND).result[0])


def test_its_extractor_reads_a_picture(pack):
    extractor = LoadKeypointExtractor.execute(extractor={"extractor": "calm face"}).result[0]
    picture = torch.rand(1, 300, 280, 3, generator=torch.Generator().manual_seed(0))
    landmarks = make_landmarks([make_face(140, 150, 100)], size=(300, 280))
    (found,) = PortraitKeypoints.execute(extractor, picture, landmarks, 0).result
    assert len(found) == 1 and not found.pose.any() and found.scale.tolist() == [1]


def test_its_sampler_draws_a_motion(pack):
    def drawn(sampler):
        chosen = {"engine": "Takin-ADA", "sampler": sampler}
        return motion(LoadMotionEngine.execute(engine=chosen).result[0])

    leap, one = drawn(pack["OneLeap"]()), drawn(DDIM(steps=1))
    assert leap.source["sampler"] == "one leap"
    assert torch.allclose(leap.expression, one.expression, atol=1e-5)
