"""The shipped Takin-ADA: lips that follow speech it never learnt from, emotions that show, and errors that
say what to do."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.generation import generate_motion
from talking_portrait.models.speech.ear import NAME
from talking_portrait.models.speech.encoding import weights_name
from talking_portrait.models.takin.config import EMOTIONS, TINY
from talking_portrait.models.takin.emotion import FACES, emotion_faces
from talking_portrait.models.takin.engine import TakinEngine, TakinOptions
from talking_portrait.models.takin.network import TakinNet, build_takin
from talking_portrait.models.weights import published as published_weights
from talking_portrait.nodes.catalogue import engines
from talking_portrait.nodes.catalogue import weight_files as registry
from talking_portrait.nodes.catalogue.weight_files import register_folders
from talking_portrait.nodes.loaders import LoadMotionEngine
from talking_portrait.training.takin.shipped import engine_of, load

from .remembering import remembering_ear

ROOT = Path(__file__).resolve().parent.parent.parent
WEIGHTS = ROOT / "models/takin/weights/takin_tiny.safetensors"
HEARING = ROOT / "models/builtin/weights/speech.safetensors"
FPS, STEPS = Fraction(25), 5


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def make():
    """make(**options) -> the shipped engine."""
    network, _ = load(WEIGHTS)
    hearing = remembering_ear()[0]

    def build(encoder: str = "", **options) -> TakinEngine:
        return engine_of(network, hearing, TakinOptions(**({"steps": STEPS} | options)), encoder)

    return build


def clips() -> dict[str, dict[str, np.ndarray]]:
    """Test clips with the jaw that their phones ask for, wave decoded from mu-law."""
    data, found = np.load(ROOT / "tests/data/speech_clips.npz"), {}
    for key in data.files:
        name, field = key.rsplit(".", 1)
        found.setdefault(name, {})[field] = data[key]
    for clip in found.values():
        x = clip["wave"] / 255 * 2 - 1
        clip["wave"] = (np.sign(x) * (256 ** np.abs(x) - 1) / 255).astype(np.float32)
    return found


def run(
    engine,
    wave: np.ndarray,
    seed: int = 0,
    fps: Fraction = FPS,
    progress=lambda done, total: None,
    **settings,
):
    return generate_motion(
        engine, Speech(torch.from_numpy(wave)[None], 16000), fps, seed, MotionSettings(**settings), progress
    )


def control(motion, name: str) -> np.ndarray:
    return motion.controls[:, CONTROLS.index(name)].numpy()


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return next(iter(clips().values()))["wave"]


@pytest.mark.slow
def test_lips_follow_a_synthesiser_that_was_never_heard(make):
    scores, shut, free = [], [], []
    for name, clip in clips().items():
        if "festival" not in name:
            continue
        motion = run(make(), clip["wave"])
        jaw = control(motion, "jawOpen")
        count = min(len(jaw), len(clip["jaw"]))
        scores.append(np.corrcoef(jaw[:count], clip["jaw"][:count].astype(float))[0, 1])
        at = np.clip((clip["pbm"] * 25).astype(int), 0, count - 1)
        shut += jaw[at].tolist()
        free += jaw[:count][clip["jaw"][:count] > 0.5].tolist()
    assert np.mean(scores) > 0.65, scores
    assert np.median(shut) < 0.4 * np.median(free), "p, b and m do not close the jaw"


@pytest.mark.slow
def test_lips_are_those_of_this_sound_and_not_of_another(make):
    names = [name for name in clips() if "rms" not in name]
    jaws = {name: control(run(make(), clips()[name]["wave"]), "jawOpen") for name in names}
    own, other = [], []
    for name in names:
        for against in names:
            count = min(len(jaws[name]), len(clips()[against]["jaw"]))
            r = np.corrcoef(jaws[name][:count], clips()[against]["jaw"][:count].astype(float))[0, 1]
            (own if name == against else other).append(r)
    assert np.mean(own) > np.mean(other) + 0.3


@pytest.mark.parametrize(
    "emotion",
    [
        pytest.param(name, marks=() if name == "happy" else pytest.mark.slow)
        for name in EMOTIONS
        if name != "neutral"
    ],
)
def test_an_emotion_changes_the_face_its_own_way(make, voice, emotion):
    neutral, moved = run(make(), voice), run(make(emotion=emotion), voice)
    change = (moved.expression - neutral.expression).flatten(1).mean(0)
    faces, _ = emotion_faces()
    assert EMOTIONS[int((faces - change).norm(dim=1).argmin())] == emotion


@pytest.mark.slow
def test_intensity_goes_from_nothing_to_all(make, voice):
    smiles = [
        control(run(make(emotion="happy", intensity=x), voice), "mouthSmile").mean() for x in (0.0, 0.5, 1.0)
    ]
    assert abs(smiles[0]) < 0.15 and smiles[0] < smiles[1] < smiles[2] and smiles[2] > 0.7


def test_a_mixture_shows_both(make, voice):
    mixed = run(make(emotion="happy 1, surprised 1"), voice)
    happy, surprised = run(make(emotion="happy"), voice), run(make(emotion="surprised"), voice)
    smile, brow = (np.mean(control(mixed, name)) for name in ("mouthSmile", "browInnerUp"))
    assert (
        0.2 < smile < control(happy, "mouthSmile").mean()
        and brow > control(happy, "browInnerUp").mean() + 0.1
    )
    assert control(surprised, "browInnerUp").mean() > brow


def test_an_emotion_stays_on_a_silent_face(make):
    silent = run(make(emotion="happy"), np.zeros(32000, np.float32))
    assert control(silent, "mouthSmile").min() > 0.9 * FACES["happy"]["mouthSmile"]
    assert np.abs(control(silent, "jawOpen")).max() < 0.05, "a silent mouth moves"


def test_an_example_of_a_mood_is_followed(make, voice):
    faces, _ = emotion_faces()
    motion = run(make(intensity=0.0, exemplar=faces[EMOTIONS.index("happy")]), voice)
    assert control(motion, "mouthSmile").mean() > 0.5


def test_blinks_fall_where_they_were_drawn(make, voice):
    motion = run(make(), np.tile(voice, 3), seed=4, blink_rate=40.0)
    lids, times = control(motion, "eyeBlinkLeft"), np.array(motion.source["blinks"])
    assert len(times) >= 3
    at = np.round((times + 0.12) * 25).astype(int)
    assert np.mean([lids[max(0, k - 2) : k + 3].max() > 0.5 for k in at]) > 0.7, "blinks are missing"
    away = np.ones(len(lids), bool)
    for k in np.round(times * 25).astype(int):
        away[max(0, k - 2) : k + 11] = False
    assert np.abs(lids[away]).max() == 0, "the lids move without a blink"


def test_a_fifth_of_a_second_is_five_right_frames(make, voice):
    loud = voice[8000:11200]
    motion = run(make(), loud)
    assert len(motion) == 5 and torch.isfinite(motion.expression).all()
    whole = control(run(make(), voice), "jawOpen")[13:17]
    assert np.abs(control(motion, "jawOpen")[1:] - whole).mean() < 0.25
    assert len(run(make(), loud, fps=Fraction(30))) == 6 and len(run(make(), loud[:640])) == 1


def test_the_head_starts_from_the_photo_and_speech_has_no_identity(make, voice):
    motion = run(make(), voice, seed=3)
    assert motion.pose[0].abs().max() == 0 and motion.scale[0] == 1 and not motion.absolute
    assert motion.pose.std(0).max() > 0.2, "the head is still"


def test_progress_reaches_the_end_in_order(make, voice):
    seen = []
    run(make(steps=2), np.tile(voice, 4), progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and seen[-1] == 1 and len(seen) > 6


def test_more_guidance_opens_the_mouth_further(make, voice):
    from talking_portrait.models.takin.sampling import Guidance

    weak, strong = (control(run(make(guidance=Guidance(s, s)), voice), "jawOpen").std() for s in (1.0, 2.0))
    assert strong > weak


def test_features_of_another_encoder_are_refused(make, voice):
    with pytest.raises(
        ValueError, match="come from 'builtin-speech-0', but this Takin-ADA network was trained on '"
    ):
        run(make(encoder="builtin-speech-0"), voice)


def test_the_shipped_file_belongs_to_the_shipped_ear():
    with safe_open(WEIGHTS, "pt") as file:
        header = file.metadata()
    config = build_takin(load_file(WEIGHTS), header).config
    name = weights_name(NAME, published_weights.weight_path(published_weights.WEIGHTS["whisper_tiny_en"]))
    assert config == replace(TINY, encoder=name, encoder_layers=5, encoder_width=384, standardised=True)
    assert WEIGHTS.stat().st_size < 6e6 and "takin.train" in header["command"]


def test_the_published_scores_are_of_the_shipped_file():
    scores = json.loads((ROOT / "benchmarks/results/takin.json").read_text())
    history = json.loads(WEIGHTS.with_suffix(".json").read_text())
    with safe_open(WEIGHTS, "pt") as file:
        header = file.metadata()
    assert scores["weights"]["command"] == header["command"] == history["command"]
    assert scores["set"] == "test" and scores["goals_met"] == sum(
        row["met"] for row in scores["goals"].values()
    )
    assert history["curve"][-1]["step"] == history["steps"] and history["done"]


@pytest.mark.parametrize(("options", "reason"), [
    ({"emotion": "furious"}, "emotion has 'furious', which is unknown"),
    ({"emotion": "happy 0, sad 0"}, "sum to 0"),
    ({"emotion_mix": "sad 0"}, "weights of emotion_mix sum to 0"),
    ({"emotion_mix": "sadly 1"}, "emotion_mix has 'sadly'"),
    ({"emotion_intensity": 2.0}, "emotion_intensity is 2"), ({"steps": 2000}, "steps is 2000"),
])  # fmt: skip
def test_wrong_options_are_named_when_the_engine_is_loaded(options, reason):
    with pytest.raises(ValueError, match=reason):
        engines.load_engine("Takin-ADA", options)


def test_the_node_takes_a_mixture_instead_of_the_menu():
    register_folders()
    told = {"steps": 5, "emotion": "sad", "emotion_intensity": 0.5}
    mixed = {**told, "emotion": "neutral", "emotion_mix": " happy 3, angry 1 "}
    engine = LoadMotionEngine.execute({"engine": "Takin-ADA", **mixed}).result[0]
    assert engine.options.emotion == "happy 3, angry 1" and engine.options.steps == 5
    assert torch.allclose(engine.label[EMOTIONS.index("happy")], torch.tensor(0.375))
    assert (
        LoadMotionEngine.execute({"engine": "Takin-ADA", **told}).result[0].label[EMOTIONS.index("sad")]
        == 0.5
    )
    assert LoadMotionEngine.execute("Takin-ADA").result[0].options.steps == 10


@pytest.mark.parametrize("spoil", ["missing", "truncated", "other network", "other sizes", "no header"])
def test_damaged_weights_are_named(tmp_path, monkeypatch, spoil):
    good, path = WEIGHTS.read_bytes(), tmp_path / "takin_tiny.safetensors"
    other = TakinNet(replace(TINY, width=32, motion_layers=2)).state_dict()
    if spoil == "truncated":
        path.write_bytes(good[: len(good) // 2])
    elif spoil == "other network":
        save_file({"enter.weight": torch.zeros(4, 40, 5)}, path)
    elif spoil == "other sizes":
        save_file(other, path, TINY.header())
    elif spoil == "no header":
        save_file(other, path)
    real = published_weights.weight_path
    monkeypatch.setattr(
        registry, "weight_path", lambda weight: path if "takin" in weight.file else real(weight)
    )
    reason = {
        "other sizes": "width 96, but its tensors have 32",
        "other network": "no Takin-ADA",
        "no header": "no Takin-ADA",
    }
    with pytest.raises(ValueError, match=reason.get(spoil, "takin_tiny.safetensors")):
        engines.load_engine("Takin-ADA")
