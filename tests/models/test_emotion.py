"""Emotions on a motion: smooth, monotone, over time, and with the speech's lips kept."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import librosa
import pytest
import torch
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.face_motion.container import TRACKS
from talking_portrait.models.face_motion.curve import Curve
from talking_portrait.models.face_motion.emotion import ROWS, with_emotion
from talking_portrait.models.face_motion.emotion_presets import load_preset, load_presets
from talking_portrait.models.face_motion.exemplar import exemplar_emotion
from talking_portrait.models.face_motion.time import slice_motion
from talking_portrait.nodes.emotion import mixture

ROOT = Path(__file__).resolve().parent.parent.parent
PRESETS = load_presets()
MOODS = [name for name in PRESETS if name != "neutral"]
JAW, CLOSE, SMILE, BROW = (
    CONTROLS.index(name) for name in ("jawOpen", "mouthClose", "mouthSmile", "browInnerUp")
)
from .remembering import remembering_ear


@pytest.fixture(scope="module")
def spoken():
    """The shipped speech as the built-in engine moves it."""
    with torch.inference_mode():
        wave = librosa.load(ROOT / "samples" / "talking_portrait_speech.wav", sr=16000)[0]
        engine = BuiltinMotionEngine(remembering_ear)
        return engine.generate(
            Speech(torch.from_numpy(wave)[None], 16000), Fraction(25), 1, MotionSettings(), lambda a, b: None
        )


def felt(motion, name: str, amount: float = 1.0, **options):
    return with_emotion(motion, {name: Curve.constant(1)}, PRESETS, Curve.constant(amount), **options)


def test_eight_presets_ship_with_a_licence():
    assert list(PRESETS)[0] == "neutral" and len(PRESETS) == 8
    assert all(emotion.licence == "Apache-2.0" for emotion in PRESETS.values())
    assert not PRESETS["neutral"].rig.any() and all(PRESETS[name].rig.any() for name in MOODS)


@pytest.mark.parametrize("name", MOODS)
def test_a_mood_grows_smoothly_with_its_intensity(spoken, name):
    for still in (felt(spoken, name, 0.0), felt(spoken, "neutral")):
        assert all(torch.equal(getattr(still, track), getattr(spoken, track)) for track in TRACKS)
    steps = [felt(spoken, name, amount).expression - spoken.expression for amount in (0.25, 0.5, 0.75, 1.0)]
    sizes = [float(step.square().sum().sqrt()) for step in steps]
    assert sizes[0] > 0 and all(a < b for a, b in zip(sizes, sizes[1:], strict=False))
    jerk = (felt(spoken, name).expression.diff(dim=0) - spoken.expression.diff(dim=0)).abs().amax()
    assert jerk < 0.02, "the mood jumps from frame to frame"


@pytest.mark.parametrize("name", MOODS)
def test_lips_still_close_and_open_for_speech(spoken, name):
    moody = felt(spoken, name)
    shut = (spoken.controls[:, CLOSE] > 0.8) & (spoken.controls[:, JAW] < 0.1)
    wide = spoken.controls[:, JAW] > 0.5
    assert shut.sum() >= 3 and wide.sum() >= 3

    def gap(motion):
        return motion.expression[:, 19, 1] - motion.expression[:, 17, 1]

    assert (gap(moody)[shut] - gap(spoken)[shut]).max() < 0.004, "shut lips part"
    assert (gap(moody)[wide] / gap(spoken)[wide]).min() > 0.5, "open lips close"
    assert torch.corrcoef(torch.stack([gap(moody), gap(spoken)]))[0, 1] > 0.9


def test_moods_go_where_they_should(spoken):
    change = {name: (felt(spoken, name).controls - spoken.controls).mean(0) for name in MOODS}
    assert change["happy"][SMILE] > 0.2 and change["sad"][SMILE] < -0.1
    assert change["surprised"][BROW] > 0.3 and change["angry"][BROW] < -0.3


def test_curves_and_mixtures_over_time(spoken):
    rising = with_emotion(spoken, {"happy": Curve.constant(1)}, PRESETS, Curve.parse("2:0, 4:1", "N"))
    assert torch.equal(rising.expression[:50], spoken.expression[:50])
    assert (rising.controls[110:, SMILE] - spoken.controls[110:, SMILE]).mean() > 0.2
    mixed = with_emotion(spoken, mixture("happy 0:1, 3:0\nsad 0:0, 3:1"), PRESETS)
    smile = mixed.controls[:, SMILE] - spoken.controls[:, SMILE]
    assert smile[:20].mean() > 0 > smile[-20:].mean()


def test_an_exemplar_gives_its_own_mood(spoken):
    pair = slice_motion(felt(spoken, "angry"), 0, 2)
    calm = slice_motion(spoken, 0, 1)
    fields = ("expression", "controls", "pose")
    joined = replace(
        pair, **{name: torch.cat([getattr(calm, name), getattr(pair, name)[:1]]) for name in fields}
    )
    found = exemplar_emotion(joined)
    assert found.rig[ROWS.index("browFurrow")] > 0.5
    with pytest.raises(ValueError, match="exemplar has 1 frame"):
        exemplar_emotion(calm)


@pytest.mark.parametrize(("call", "words"), [
    (lambda m: felt(m, "jolly"), "there is no emotion 'jolly'; there are neutral"),
    (lambda m: with_emotion(m, {"happy": Curve.constant(0)}, PRESETS), "weights sum to 0 at 0.02 s"),
    (lambda m: felt(m, "happy", 1.5), "intensity reaches 1.5"),
    (lambda m: felt(m, "happy", lip_protection=2), "lip_protection is 2"),
    (lambda m: Curve.parse("1:0, 0.5:1", "N"), "rising order"),
    (lambda m: Curve.parse("a:0", "N"), "'a' is no number"),
    (lambda m: mixture("happy 1; happy 2"), "names happy twice"),
])  # fmt: skip
def test_what_cannot_be_is_said(spoken, call, words):
    with pytest.raises(ValueError, match=words):
        call(spoken)


@pytest.mark.parametrize(("change", "words"), [
    ({"controls": {"jawOpen": float("nan")}}, "NaN is no number"),
    ({"controls": {"wings": 1}}, "must be numbers by name"),
    ({"licence": ""}, "licence is missing"), ({"name": "other"}, "it must be the file's"),
    ({"controls": {"jawOpen": 9}}, "within"),
])  # fmt: skip
def test_a_wrong_preset_is_named(tmp_path, change, words):
    data = json.loads((ROOT / "models/face_motion/emotions/happy.json").read_text()) | change
    path = tmp_path / "happy.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=f"happy.json cannot be used.*{words}"):
        load_preset(path)
