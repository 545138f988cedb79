"""What the viseme heads are trained on: letters to visemes, tapes with labels in time, and a training that learns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from talking_portrait.models.speech.visemes import ARTICULATION, VISEMES
from talking_portrait.training.learning.training import Training
from talking_portrait.training.speech_net import hear, ipa, tapes, train_presence
from talking_portrait.training.speech_net import train as speech_net
from talking_portrait.training.speech_net.alignment import NEAREST, check, words_of
from talking_portrait.training.speech_net.kokoro import SYMBOLS
from talking_portrait.training.speech_net.recorded_voices import read_texts

from .shipped_engines import RATE
from .stopping import stopped_after


def clip() -> dict:
    """A p of silence between two tones for vowels, as a corpus has clips."""
    time = np.arange(RATE // 2) / RATE
    tones = [np.sin(2 * np.pi * hertz * time) * 9000 for hertz in (700, 300)]
    wave = np.concatenate([tones[0], np.zeros(RATE // 10), tones[1]]).astype(np.int16)
    return {"wave": wave, "visemes": ["AA", "PP", "OU"], "starts": [0.0, 0.5, 0.6], "ends": [0.5, 0.6, 1.1]}


def test_marks_and_short_pauses_belong_to_their_sounds():
    """ˈ to the next sound, ː to the one before, a short gap to both; a diphthong gives its first part 60 %."""
    found = ipa.letter_segments("mˈuː pI .", [0.1, 0.2, 0.3, 0.5, 0.54, 0.6, 1.1, 1.14, 2.0])
    assert [name for name, _, _ in found] == ["PP", "OU", "PP", "AA", "II", "sil"]
    assert found[1][1:] == (0.1, pytest.approx(0.52)) and found[2][1] == pytest.approx(0.52)
    assert found[3][2] == pytest.approx(0.6 + 0.6 * (found[4][2] - 0.6)) and found[-1][2] == 2.0
    assert all(a[2] == pytest.approx(b[1]) for a, b in zip(found, found[1:], strict=False)), "there are gaps"


def test_every_letter_of_the_synthesiser_moves_the_mouth_or_is_a_mark():
    known = set(ipa.VISEME_OF_IPA) | set(ipa.PAUSES) | set(ipa.STRESS) | set(ipa.LENGTH)
    assert set(SYMBOLS) - known <= set("ᵝST↓→↗↘ʰʲ"), sorted(set(SYMBOLS) - known)
    assert all(viseme in VISEMES for visemes in ipa.VISEME_OF_IPA.values() for viseme in visemes)
    assert set(NEAREST) >= set("pbmfvszɾɲʎʁøœyβðɣx")


def test_words_are_aligned_without_marks():
    assert words_of("pˈerːo, ˈanda") == [list("pero"), list("anda")]


def test_an_alignment_that_leaves_speech_in_pauses_is_not_believed():
    loud = (np.sin(np.arange(RATE)) * 9000).astype(np.int16)
    check(loud, [("AA", i / 10, i / 10 + 0.1) for i in range(10)])
    with pytest.raises(ValueError, match="of what is loud is in pauses"):
        check(loud, [("AA", 0.0, 0.1), ("sil", 0.1, 1.0)])
    with pytest.raises(ValueError, match="sounds last"):
        check(loud, [("AA", 0.0, 1.0)])


def test_texts_that_say_no_sound_are_left_out(tmp_path):
    (tmp_path / "texts").write_text("; a remark: no\na: Hello...\nb: [music]\nc: one two-three: four\nd:\n")
    assert read_texts(tmp_path / "texts") == {"a": "Hello"}


def test_a_tape_says_what_is_spoken_when(monkeypatch):
    monkeypatch.setattr(tapes, "CHANCES", dict.fromkeys(tapes.CHANCES, 0.0))
    monkeypatch.setattr(tapes, "EMPTY", 0.0)
    wave, classes = tapes.make_tape([clip()], [], np.random.default_rng(1))
    level = np.abs(wave.reshape(-1, 160)).max(1)
    vowels = np.isin(classes, [VISEMES.index("AA"), VISEMES.index("OU")])
    loud = level > 0.2 * level.max()
    assert len(wave) == 160_000 and len(classes) == 1000
    assert (loud == vowels).mean() > 0.97 and (classes == VISEMES.index("PP")).sum() > 20


def test_every_harm_leaves_a_finite_tape_and_the_same_seed_the_same(monkeypatch):
    monkeypatch.setattr(tapes, "CHANCES", dict.fromkeys(tapes.CHANCES, 1.0))
    music = [(np.random.default_rng(0).standard_normal(20 * RATE) * 3000).astype(np.int16)]
    wave, classes = tapes.make_tape([clip()], music, np.random.default_rng(5))
    again, _ = tapes.make_tape([clip()], music, np.random.default_rng(5))
    assert np.isfinite(wave).all() and 0 < np.abs(wave).max() <= 1 and classes.any()
    np.testing.assert_array_equal(wave, again)


def test_a_tape_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(hear, "shipped_encoder", lambda: torch.nn.Identity())
    kept = hear.Tapes(tmp_path, [[clip()]], [], 1)
    for name in ("00000.npy", "00000.classes.npy"):
        np.save(tmp_path / name, np.zeros(3))
    kept.make(0)
    assert np.load(tmp_path / "00000.npy").tolist() == [0, 0, 0]


def test_a_few_steps_tell_sound_from_silence(monkeypatch):
    """Levels whose first channels say whether it is silence or an open vowel."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    monkeypatch.setattr(hear, "BATCH", 3)
    monkeypatch.setattr(hear, "RATE", 1e-3)
    classes = np.repeat(random.integers(0, 2, (4, 25)) * VISEMES.index("AA"), 40, 1)
    levels = random.normal(size=(4, 500, hear.ALL_LEVELS, hear.WIDTH)).astype(np.float16)
    levels[..., :99] += 3 * (classes[:, ::2, None, None] > 0)
    heads, run = hear.train(list(levels), classes, 30, random)
    curve = [entry["first"] for entry in run.curve]
    heads.eval()
    with torch.inference_mode():
        said = heads.all(list(torch.from_numpy(levels[0].astype(np.float32))[None].unbind(2)))[0]
    assert (said.argmax(0).numpy() == classes[0]).mean() > 0.8 and curve[-1] < curve[0]


def heard_levels(steps: int, resume: Path, random: np.random.Generator) -> tuple[torch.nn.Module, Training]:
    levels = random.normal(size=(2, 60, hear.ALL_LEVELS, hear.WIDTH)).astype(np.float16)
    return hear.train(list(levels), np.zeros((2, 120), int), steps, random, None, resume, {"seed": 1})


def heard_mels(steps: int, resume: Path, random: np.random.Generator) -> tuple[torch.nn.Module, Training]:
    clips = [
        (random.normal(size=(400, 40)), np.zeros(400, int), np.zeros((400, len(ARTICULATION)), np.float32))
        for _ in range(2)
    ]
    return speech_net.train(clips, steps, 2, 16, random, resume, {"seed": 1})


def heard_tapes(steps: int, resume: Path, random: np.random.Generator) -> tuple[torch.nn.Module, Training]:
    tapes_ = [(random.normal(size=(100, 40)), np.arange(100) % 2) for _ in range(2)]
    return train_presence.train(tapes_, steps, 2, random, resume, {"seed": 1})


@pytest.mark.parametrize("run", [heard_levels, heard_mels, heard_tapes])
def test_a_stopped_run_goes_on_bit_by_bit(tmp_path, monkeypatch, run):
    monkeypatch.setattr(hear, "BATCH", 2)
    monkeypatch.setattr(hear, "CHUNK", 40)

    def ended(name: str, steps: int = 6) -> dict[str, torch.Tensor]:
        torch.manual_seed(3)
        network, found = run(steps, tmp_path / f"{name}.resume.safetensors", np.random.default_rng(3))
        assert found.step == steps
        return network.state_dict()

    whole = ended("whole")
    with stopped_after(monkeypatch, 4):
        with pytest.raises(SystemExit, match="stopped after 4 of 6 steps"):
            ended("part")
    again = ended("part")
    assert all(torch.equal(value, again[key]) for key, value in whole.items())
    with pytest.raises(ValueError, match="other settings"):
        ended("part", 9)
