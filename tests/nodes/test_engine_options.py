"""Load Motion Engine, Generate Face Motion and Emotion: every option acts or is refused by name, and moods
have one name each."""

import asyncio
import wave
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from talking_portrait.models.contracts import ENGINES
from talking_portrait.models.engine import MotionSettings
from talking_portrait.models.face_motion.emotion_names import ALIASES, EMOTIONS, emotion_name
from talking_portrait.models.face_motion.emotion_presets import preset_names
from talking_portrait.models.sampling import DDIM
from talking_portrait.models.takin.config import EMOTIONS as TAKIN_EMOTIONS
from talking_portrait.models.takin.sampling import Guidance
from talking_portrait.nodes.audio import GenerateFaceMotion
from talking_portrait.nodes.catalogue.weight_files import register_folders
from talking_portrait.nodes.emotion import EmotionNode
from talking_portrait.nodes.loaders import LoadMotionEngine
from talking_portrait.nodes.older import ORDER, LoadMotionEngineOfOneList, read_options

from ..models.motion_samples import change, driven, same

AMOUNTS = {
    "mouth_amount": 1.0,
    "head_amount": 1.0,
    "blink_rate": 18.0,
    "brow_amount": 1.0,
    "silence_threshold": -38.0,
}
with wave.open(str(Path(__file__).resolve().parents[2] / "samples" / "talking_portrait_speech.wav")) as file:
    SAMPLES = np.frombuffer(file.readframes(3 * file.getframerate()), "<i2").astype(np.float32) / 32768
    SOUND = {"waveform": torch.from_numpy(SAMPLES)[None, None], "sample_rate": file.getframerate()}
OTHER = {
    "steps": 7, "guidance": 3.0, "head_smoothing": 0.5, "official_timing": True, "emotion": "happy",
    "emotion_intensity": 0.5,
    "emotion_mix": "sad 1", "takin_file": "mine.safetensors", "speech_encoder": "mine.safetensors",
    "exemplar": change(3),
    "head": change(3), "audio_guidance": 2.0, "emotion_guidance": 2.0,
}  # fmt: skip
NEWER = {  # what the older node lacks
    "style": "calm",
    "denoiser_file": "KDTalker.pth", "audio_file": "wav2lip.pth", "norm_file": "norm.npz",
    "template_file": "motion_template.pkl", "audio_encoder": SimpleNamespace(encode_audio=print),
    "keypoint_extractor": SimpleNamespace(ready=print, device=None), "sampler": DDIM(),
}  # fmt: skip
MOTION_FILE = {"KDTalker": "motion_extractor.safetensors", "JoyVASA": "motion_generator_hubert_chinese.pt"}


@pytest.fixture(autouse=True)
def running():
    """As inside ComfyUI."""
    register_folders()
    with torch.inference_mode():
        yield


def takin(**options):
    """The shipped network, of two steps."""
    return LoadMotionEngine.execute({"engine": "Takin-ADA", "steps": 2, **options}).result[0]


def spoken(engine, **amounts):
    return GenerateFaceMotion.execute(
        motion_engine=engine, audio=SOUND, fps=25.0, seed=1, **{**AMOUNTS, **amounts}
    ).result[0]


READ = {entry.id: [option.id for option in entry.options] for entry in ENGINES.values()}


def test_every_option_has_another_value_to_try():
    assert set(OTHER) == set(ORDER)
    assert {*OTHER, *NEWER, "motion_file"} == {option for read in READ.values() for option in read}


@pytest.mark.parametrize(("engine", "option"), [(e, o) for e in READ for o in ORDER if o not in READ[e]])
def test_an_option_that_the_engine_does_not_read_is_refused_by_name(engine, option):
    with pytest.raises(ValueError) as error:
        read_options(engine, {option: OTHER[option]})
    said = str(error.value)
    assert said.startswith(f"{option} is ") and f"{engine} does not read it" in said
    assert any(reader in said.split("choose ")[1] for reader in READ if option in READ[reader])


@pytest.mark.parametrize(("engine", "option"), [(e, o) for e in READ for o in READ[e]])
def test_an_option_reaches_the_engine_that_reads_it(monkeypatch, engine, option):
    seen = []
    loaded = replace(ENGINES[engine], load=lambda options: seen.append(options) or Listener(), files=())
    monkeypatch.setitem(ENGINES, engine, loaded)
    values = {**OTHER, **NEWER, "takin_file": "shipped (tiny)", "speech_encoder": "built-in"}
    values["motion_file"] = MOTION_FILE.get(engine)
    LoadMotionEngineOfOneList.execute(engine)
    LoadMotionEngine.execute(engine)
    LoadMotionEngine.execute({"engine": engine, option: values[option]})
    assert seen[0] == seen[1] and set(seen[0]) == set(READ[engine])
    assert seen[2][option] == values[option]
    if option in ORDER:
        LoadMotionEngineOfOneList.execute(engine, **{option: values[option]})
        assert seen[3][option] == values[option]


def test_all_unread_options_are_named_at_once():
    said = "steps is 7, but built-in does not read it. Set it back to 0, or choose KDTalker or JoyVASA or Takin-ADA. "
    with pytest.raises(
        ValueError, match=rf"Load Motion Engine \(older\): {said}emotion is happy.* Set it back to neutral"
    ):
        LoadMotionEngineOfOneList.execute("built-in", steps=7, emotion="happy")


@pytest.mark.parametrize(("given", "reason"), [
    ({"emotion": "sad", "emotion_mix": "happy 1"}, "emotion_mix and emotion sad both say the mood"),
    ({"emotion": "sad", "exemplar": change(3)}, "exemplar and emotion sad both say the mood"),
    ({"emotion_mix": "sad", "exemplar": change(3)}, "exemplar and emotion_mix both say the mood"),
    ({"exemplar": change(1)}, "exemplar has 1 frame"),
    ({"emotion_mix": "happy 1, joy 2"}, "emotion_mix has happy twice"),
    ({"audio_guidance": 11.0}, "audio_guidance is 11; it must be from 0 to 10"),
])  # fmt: skip
def test_a_mood_is_told_in_one_way_alone(given, reason):
    with pytest.raises(ValueError, match=f"Load Motion Engine: {reason}"):
        takin(**given)


def test_a_mixture_of_the_chosen_mood_alone_is_no_contradiction():
    assert takin(emotion="happy", emotion_mix="happiness 2").label[TAKIN_EMOTIONS.index("happy")] == 1


def test_guidance_exemplar_and_head_reach_the_engine():
    head, mood = driven(9), change(3)
    engine = takin(audio_guidance=2.5, emotion_guidance=3.0, exemplar=mood, head=head, emotion_intensity=0.5)
    shown = 0.5 * (mood.expression[1:].mean(0) - mood.expression[0]).flatten()
    assert engine.options.guidance == Guidance(2.5, 3.0) and same(engine.options.head, head, 0)
    assert torch.allclose(engine.options.exemplar, shown) and not engine.label.any()
    assert takin().options.guidance == Guidance()


@pytest.mark.parametrize(
    "given", [{"audio_guidance": 4.0}, {"emotion_guidance": 4.0, "emotion": "happy"}, {"exemplar": change(3)}]
)
def test_guidance_and_exemplar_move_the_face(given):
    plain = {name: value for name, value in given.items() if name == "emotion"}
    assert not same(spoken(takin(**given)), spoken(takin(**plain)), 1e-3)


def test_the_head_of_another_motion_is_followed():
    waves = torch.stack([torch.sin(torch.arange(75) / pace) for pace in (6, 9, 13)], 1)
    still = {"translation": torch.zeros(75, 3), "scale": torch.ones(75)}
    leader = replace(change(75), pose=torch.tensor([4.0, 8.0, 4.0]) * waves, **still)
    led, own = spoken(takin(head=leader, steps=10)), spoken(takin(steps=10))
    close = [float((motion.pose - leader.pose)[25:].abs().mean()) for motion in (led, own)]
    assert close[0] < 0.5 * close[1], close


# ------------------------------------------------------------ amounts


class Listener:
    """An engine that keeps what it was asked for."""

    id, native_fps = "test engine", None

    def __init__(self, *reads: str):
        self.reads = frozenset(reads)

    def generate(self, speech, fps, seed, settings, progress, portrait=None):
        self.settings = settings
        return change(75)


def test_amounts_that_the_engine_does_not_read_are_refused_by_name():
    said = (
        "Face Motion: blink_rate is 30, but test engine does not read it. Set it back to 18. lip_lead is 50"
    )
    with pytest.raises(ValueError, match=said):
        spoken(Listener("mouth_amount"), blink_rate=30.0, lip_lead=50.0)
    engine = Listener("lip_lead")
    spoken(engine, lip_lead=50.0)
    assert engine.settings == MotionSettings(lip_lead=50.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["built-in", "Takin-ADA"])
def test_every_amount_that_an_engine_reads_moves_the_face(name):
    engine = LoadMotionEngine.execute(name).result[0]
    calm = spoken(engine, blink_rate=60.0)
    others = {"mouth_amount": 0.5, "head_amount": 0.3, "blink_rate": 0.0, "brow_amount": 0.0,
        "silence_threshold": -10.0,
              "lip_lead": 100.0, "blink_asymmetry": 1.0, "gaze_amount": 0.0, "life_amount": 0.0}  # fmt: skip
    assert set(others) == {field.name for field in fields(MotionSettings)}
    for amount in engine.reads:
        assert not same(spoken(engine, **{"blink_rate": 60.0, amount: others[amount]}), calm, 1e-4), amount
    for amount in set(others) - engine.reads:
        with pytest.raises(ValueError, match=f"{amount} is .*{engine.id} does not read it"):
            spoken(engine, **{amount: others[amount]})


# ------------------------------------------------------------ one vocabulary


def test_all_menus_have_the_same_moods():
    assert set(preset_names()) == set(EMOTIONS) == set(TAKIN_EMOTIONS)
    assert set(ALIASES.values()) <= set(EMOTIONS) and not set(ALIASES) & set(EMOTIONS)


@pytest.mark.parametrize(("word", "meant"), [
    ("fear", "fearful"), ("Contempt", "contemptuous"), ("SURPRISE", "surprised"), ("disgust", "disgusted"),
    ("anger", "angry"),
    ("sadness", "sad"), ("joy", "happy"), ("happiness", "happy"), ("calm", "neutral"), ("sad", "sad"),
    ("jolly", None),
])  # fmt: skip
def test_a_mood_is_known_by_all_its_names(word, meant):
    assert emotion_name(word) == meant


def answered(node, **given) -> bool | str:
    """What ComfyUI is told when it checks a saved workflow."""
    answer = node.validate_inputs(**given)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


@pytest.mark.parametrize("node", [EmotionNode, LoadMotionEngineOfOneList])
def test_saved_workflows_with_other_names_still_load_and_the_menu_shows_one(node):
    menu = {entry.id: entry for entry in node.define_schema().inputs}["emotion"]
    assert set(menu.options) == set(EMOTIONS)
    for word in (*ALIASES, *EMOTIONS, None):
        assert answered(node, emotion=word) is True
    assert "emotion is 'jolly'; there are" in answered(node, emotion="jolly")


def test_both_nodes_take_the_older_names():
    motion = change(20)
    for old, new in {"fear": "fearful", "surprise": "surprised"}.items():
        old_way, new_way = (EmotionNode.execute(motion, word, 0.7).result[0] for word in (old, new))
        assert same(old_way, new_way, 0) and not same(old_way, motion)
        assert torch.equal(takin(emotion=old).label, takin(emotion=new).label)
    by_mix = EmotionNode.execute(motion, "neutral", 0.7, mix="Fear 1").result[0]
    assert same(by_mix, EmotionNode.execute(motion, "fearful", 0.7).result[0])


@pytest.mark.parametrize(("given", "reason"), [
    ({"emotion": "sad", "mix": "happy 1"}, "mix and emotion sad both say the mood"),
    ({"emotion": "sad", "exemplar": change(3)}, "exemplar and emotion sad both say the mood"),
    ({"mix": "happy 1\njoy 2"}, "mix names happy twice"),
    ({"mix": "glad 1"}, "there is no emotion 'glad'; there are neutral"),
    ({"emotion": "glad"}, "emotion is 'glad', which is not in its menu"),
])  # fmt: skip
def test_a_mood_on_a_motion_is_told_in_one_way_alone(given, reason):
    with pytest.raises(ValueError, match=f"Emotion: {reason}"):
        EmotionNode.execute(**{"face_motion": change(3), "emotion": "neutral", "intensity": 0.7, **given})
