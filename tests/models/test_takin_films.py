"""Takin-ADA on a HuBERT: its layers, films of people made into what it learns from, and the training on them."""

import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.liveportrait.motion_extractor import (
    MotionExtractor,
    Sizes,
    build_motion_extractor,
    read_sizes,
)
from talking_portrait.models.media.video_stream import VideoStreamWriter
from talking_portrait.models.speech import hubert_layers as takin_hubert
from talking_portrait.models.speech.hubert_layers import (
    HubertHearing,
    SpeechEncoder,
    build_speech_encoder,
    hubert_name,
    hubert_state,
)
from talking_portrait.models.takin.config import EMOTIONS, FULL, TINY
from talking_portrait.models.takin.engine import TakinOptions
from talking_portrait.models.takin.hubert_engine import HubertTakinEngine, check_encoder
from talking_portrait.models.takin.live_motion import LiveMotion
from talking_portrait.models.takin.network import TakinNet, build_takin
from talking_portrait.training.liveportrait.stage1_proof import tiny_extractor
from transformers import HubertConfig, HubertModel

ROOT = Path(__file__).resolve().parent.parent.parent
PHOTO = ROOT / "samples" / "talking_portrait_astronaut.png"
RATE = 16000


def random_hubert(seed: int = 0, layers: int = 2) -> HubertModel:
    """A large HuBERT in small: norms where a large one has them."""
    torch.manual_seed(seed)
    config = HubertConfig(
        hidden_size=64, num_hidden_layers=layers, num_attention_heads=1, intermediate_size=32,
        conv_dim=(16,) * 7, conv_bias=True,
        feat_extract_norm="layer", do_stable_layer_norm=True, num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    return HubertModel(config).eval()


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    """As the loader makes it from an edition with a recognition head."""
    content = {"hubert." + key: value for key, value in random_hubert().state_dict().items()}
    state = hubert_state(content | {"lm_head.weight": torch.zeros(3, 64)})
    network = build_speech_encoder(state, {})
    network.load_state_dict(state)
    return network


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


@torch.inference_mode()
def test_layers_are_those_of_transformers(encoder):
    wave = noise(1.0)
    found = HubertHearing(encoder, wave).between(0, 50)
    heard = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
    wanted = torch.cat(
        random_hubert()(torch.from_numpy(heard)[None], output_hidden_states=True).hidden_states
    )
    assert found.shape == (3, 50, 64) and torch.allclose(found[:, :49], wanted, atol=1e-5)
    assert torch.equal(found[:, 49], found[:, 48]), "the last frame is not repeated behind the end"
    assert HubertHearing(encoder, noise(0.01)).between(0, 2).shape == (3, 2, 64)


@torch.inference_mode()
def test_blocks_are_the_same_however_they_are_asked_for(encoder, monkeypatch):
    monkeypatch.setattr(takin_hubert, "BLOCK", 40)
    wave = noise(2.1)
    whole = HubertHearing(encoder, wave).between(0, 106)
    hearing = HubertHearing(encoder, wave)
    pieces = torch.cat([hearing.between(start, min(start + 17, 106)) for start in range(0, 106, 17)], 1)
    assert torch.equal(whole, pieces)
    monkeypatch.setattr(takin_hubert, "CONTEXT", 1000)  # every block hears all
    heard = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
    assert torch.allclose(
        HubertHearing(encoder, wave).between(0, 104), encoder(torch.from_numpy(heard)[None]), atol=1e-5
    )
    monkeypatch.setattr(takin_hubert, "CONTEXT", 5)
    assert not torch.allclose(
        HubertHearing(encoder, wave).between(0, 106)[:, :40], whole[:, :40], atol=1e-4
    ), "no context is heard"


def test_an_encoder_is_known_by_its_weights(encoder):
    state = encoder.state_dict()
    assert encoder.encoder_name == hubert_name(state) and encoder.encoder_name.startswith("hubert-2x64-")
    assert hubert_name({key: value.bfloat16() for key, value in state.items()}) == encoder.encoder_name
    changed = dict(state)
    changed["hubert.encoder.layers.1.attention.q_proj.weight"] = -state[
        "hubert.encoder.layers.1.attention.q_proj.weight"
    ]
    assert hubert_name(changed) != encoder.encoder_name
    with pytest.raises(ValueError, match="no HuBERT speech encoder in transformers' layout"):
        hubert_state({"model.encoder.weight": torch.zeros(2, 2)})
    with pytest.raises(ValueError, match="mine was trained on .* hubert-a, but the chosen one is hubert-b"):
        check_encoder("mine", "hubert-a", SimpleNamespace(name="hubert-b"))


def test_an_extractor_of_other_sizes_is_built_from_its_file():
    network = MotionExtractor(sizes=Sizes((8, 12), (1, 2)))
    assert read_sizes(network.state_dict()) == Sizes((8, 12), (1, 2))
    build_motion_extractor(network.state_dict(), {}).load_state_dict(network.state_dict())
    assert read_sizes({}) == Sizes()


def film(path: Path, frames: int, fps: int, seconds_of_sound: float) -> Path:
    """The photo, still, at so many frames per second, with noise for a voice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = torch.from_numpy(np.array(Image.open(PHOTO).convert("RGB").resize((256, 256)))).float() / 255
    with VideoStreamWriter(
        path, Fraction(fps), torch.from_numpy(noise(seconds_of_sound))[None], RATE
    ) as writer:
        for number in range(frames):
            writer.write((picture * (1 - number / 200))[None])
    return path


def test_films_are_read_at_25_frames_with_their_sound(tmp_path):
    from talking_portrait.training.data.film_reader import read_frames, read_sound

    path = film(tmp_path / "a.mp4", 30, 30, 1.0)
    bright = [frame.mean() for frame in read_frames(path)]
    assert len(bright) == 25 and all(a > b for a, b in zip(bright, bright[1:], strict=False)), (
        "frames are doubled"
    )
    assert len(read_sound(path)) == pytest.approx(RATE, abs=1100)  # AAC fills its last block
    (tmp_path / "b.mp4").write_text("no film")
    with pytest.raises(ValueError, match="b.mp4 cannot be decoded"):
        list(read_frames(tmp_path / "b.mp4"))


def test_stretches_end_at_lost_faces_cuts_and_after_30_seconds():
    from talking_portrait.training.data.face_track import Track, lid_closure, stretches

    face = np.random.default_rng(0).uniform(100, 200, (478, 2)).astype(np.float32)
    points = [face] * 60 + [None] + [face] * 60 + [face + 200] * 60 + [face] * 20
    assert stretches(points) == [(0, 60), (61, 121), (121, 181)]
    turned = np.ones(len(points), bool)
    turned[30] = False
    assert stretches(points, turned) == [(61, 121), (121, 181)]
    assert stretches([face] * 1000) == [(0, 500), (500, 1000)]
    seen, known = Track(), {"presence": 20.0, "landmarks_xy": face}
    for faces in ([known], [known, known], [], [{**known, "presence": 0.5}]):
        seen.add(faces)
    assert [points is not None for points in seen.points] == [True, False, False, False] and (
        seen.lost,
        seen.crowded,
    ) == (1, 1)
    shut = face.copy()
    shut[[145, 374]] = shut[[159, 386]]
    assert lid_closure([face, face, face, shut]) == pytest.approx([0, 0, 0, 1], abs=1e-5)


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """prepare(encoder file) runs the tool on tmp_path/films with a small extractor; 10 frames are a stretch."""
    from talking_portrait.training.data import face_track
    from talking_portrait.training.takin import prepare_films as takin_prepare_films

    monkeypatch.setattr(face_track, "SHORTEST", 10)
    save_file(tiny_extractor(0).state_dict(), tmp_path / "extractor.safetensors")

    def run(encoder_file: Path) -> None:
        words = [
            str(tmp_path / "films"),
            str(tmp_path / "prepared"),
            "--extractor",
            str(tmp_path / "extractor.safetensors"),
        ]
        monkeypatch.setattr(sys, "argv", ["takin_prepare_films.py", *words, "--encoder", str(encoder_file)])
        takin_prepare_films.main()

    return run


@pytest.mark.slow
def test_a_folder_of_films_is_prepared_and_not_made_twice(prepare, tmp_path, capsys):
    hubert, other = tmp_path / "hubert.safetensors", tmp_path / "other.safetensors"
    save_file(random_hubert().state_dict(), hubert)
    save_file(random_hubert(1).state_dict(), other)
    film(tmp_path / "films" / "anna" / "Fear" / "level_2" / "one.mp4", 14, 25, 0.7)
    film(tmp_path / "films" / "short.mp4", 4, 25, 0.2)
    prepare(hubert)
    path, refused = (
        tmp_path / "prepared" / "anna__Fear__level_2__one.safetensors",
        tmp_path / "prepared" / "short.json",
    )
    told = "1 of 2 films have no emotion, so they teach speech and no mood: short.mp4."
    assert told in capsys.readouterr().out
    found = load_file(path)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    assert (header["person"], header["emotion"], float(header["intensity"])) == (
        "anna",
        "fearful",
        pytest.approx(2 / 3, abs=1e-3),
    )
    assert (
        found["features"].shape == (28, 3, 64)
        and found["motion"].shape == (14, 70)
        and found["frames"].tolist() == [14]
    )
    assert (
        found["features"].dtype == torch.float16
        and found["motion"].abs().max() > 0
        and found["lids"].shape == (14,)
    )
    assert "with one face in 4 frames" in json.loads(refused.read_text())["nothing is kept"]
    times = [path.stat().st_mtime_ns for path in (path, refused)]
    prepare(hubert)
    assert capsys.readouterr().out.startswith(told) and times == [
        path.stat().st_mtime_ns for path in (path, refused)
    ]
    with pytest.raises(SystemExit):
        prepare(other)
    assert "choose another OUT" in capsys.readouterr().err


def write_film(
    path: Path, person: str, emotion: str, name: str, seed: int = 0, offset: float = 0.0, **more: str
) -> None:  # fmt: skip
    """A prepared film of two stretches with random motion."""
    torch.manual_seed(seed)
    motion = 0.01 * torch.randn(120, 70).cumsum(0) + offset
    motion[:, 63] = 1.5
    save_file(
        {"features": torch.randn(240, 3, 64).half(), "motion": motion, "lids": torch.rand(120),
        "frames": torch.tensor([70, 50])},
        path, {"encoder": name, "person": person, "emotion": emotion, **more},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path, encoder) -> Path:
    write_film(tmp_path / "a.safetensors", "anna", "neutral", encoder.encoder_name)
    write_film(tmp_path / "b.safetensors", "anna", "happy", encoder.encoder_name, 1, 0.5)
    write_film(tmp_path / "c.safetensors", "bert", "", encoder.encoder_name, 2)
    return tmp_path


def test_motion_is_told_from_the_persons_neutral_face(folder):
    from talking_portrait.training.takin.batches import feature_sizes, features_at
    from talking_portrait.training.takin.film_batches import draw_film_batch, one_window, read_folder

    films = read_folder(folder)
    assert [clip.frames for clip in films] == [70, 50] * 3 and feature_sizes(films) == (3, 64)
    neutral = torch.cat([clip.rows("motion") for clip in films[:2]])
    happy = torch.cat([clip.rows("motion") for clip in films[2:4]])
    assert neutral[:, :63].median(0).values.abs().max() < 1e-6 and 0.3 < happy[:, :63].mean() < 0.7, (
        "the mood was taken out"
    )
    assert torch.equal(neutral[:, 63], torch.ones(120)) and neutral[:, 66].abs().max() == 0
    second = films[1]
    whole = load_file(folder / "a.safetensors")["features"][140:].float()
    assert torch.equal(features_at(second, np.array([3, 4, 4])), whole[[6, 7, 8, 9, 8, 9]])
    labels = {
        tuple(one_window(films, 25, TINY, np.random.default_rng(seed))["label"][0]) for seed in range(40)
    }
    assert len(labels) == 3, "neutral, happy and none are not all told"
    batch = draw_film_batch(films, TINY, 140, np.random.default_rng(0))
    assert len({len(value) for value in vars(batch).values()}) == 1 and batch.stack.shape[1] == 3


@pytest.mark.parametrize(("where", "person", "emotion", "level"), [
    ("anna/one.mp4", "anna", "", 3), ("one.mp4", "one", "", 3), ("anna/happy/one.mp4", "anna", "happy", 3),
    ("fear/anna/one.mp4", "anna", "fearful", 3), ("anna/fear/level_2/one.mp4", "anna", "fearful", 2),
    ("M003/video/front/fear/level_3/001.mp4", "M003", "fearful", 3),
    ("M003/video/left_30/contempt/level_1/001.mp4", "M003", "contemptuous", 1),
    ("M003/video/front/neutral/level_1/001.mp4", "M003", "neutral", 3),
    ("W009/surprised/Level 2/a.mp4", "W009", "surprised", 2),
    ("anna/monday/DISGUST/one.mp4", "anna", "disgusted", 3), ("sadness/one.mp4", "one", "sad", 3),
    ("Joy/angry/one.mp4", "Joy", "angry", 3), ("anna/calm/one.mp4", "anna", "neutral", 3),
])  # fmt: skip
def test_folders_tell_person_emotion_and_level(where, person, emotion, level):
    from talking_portrait.training.data.film_labels import FilmLabel, told_by_folders

    assert told_by_folders(Path("/films") / where, Path("/films")) == FilmLabel(person, emotion, level / 3)


@pytest.mark.parametrize(("where", "reason"), [
    ("anna/hapy/one.mp4", "Their folders say anna and hapy, none of which is an emotion: anna/hapy/one.mp4"),
    ("anna/fear/level_7/one.mp4", "level 7, of levels 1 to 3"),
    ("anna/level_2/one.mp4", "a level without an emotion"),
    ("anna/fear/happy/one.mp4", "both fearful and happy"),
])  # fmt: skip
def test_wrong_labels_are_counted_and_named(where, reason):
    from talking_portrait.training.data.film_labels import summary, told_by_folders

    films = [where, *(f"bert/{number}.mp4" for number in range(6)), "carl/sad/one.mp4"]
    told = summary({film: told_by_folders(Path("/films") / film, Path("/films")) for film in films})
    assert (
        "7 of 8 films have no emotion" in told
        and reason in told
        and "and 2 more" in told
        and "carl" not in told
    )
    assert summary({"a": told_by_folders(Path("/films/carl/sad/one.mp4"), Path("/films"))}) == ""


def test_labels_keep_their_intensity_and_older_names(folder, encoder):
    from talking_portrait.training.takin.film_batches import label_of, read_folder, unlabelled

    write_film(folder / "d.safetensors", "carl", "fear", encoder.encoder_name, 3, intensity="0.3333")
    films = read_folder(folder)
    labels = {clip.path.stem: label_of(clip.header) for clip in films}
    assert (
        labels["d"][EMOTIONS.index("fearful")] == pytest.approx(1 / 3, abs=1e-3) and labels["d"].sum() < 0.34
    )
    assert labels["b"][EMOTIONS.index("happy")] == 1 and not labels["c"].any()
    assert unlabelled(films) == (1, 4)


@pytest.mark.parametrize(("spoil", "reason"), [
    ("unknown emotion", "d.safetensors cannot be read .its emotion is 'jolly'"),
    ("wrong intensity", "d.safetensors cannot be read .its emotion is 'sad' of intensity 7"),
    ("other encoder", "different speech encoders: hubert-2x64-.*, other"),
    ("damaged", "b.safetensors cannot be read"),
    ("empty", "has no prepared films"),
])  # fmt: skip
def test_a_folder_that_cannot_be_used_says_why(folder, encoder, spoil, reason):
    from talking_portrait.training.takin.film_batches import read_folder

    if spoil == "other encoder":
        write_film(folder / "d.safetensors", "eva", "", "other")
    elif spoil == "unknown emotion":
        write_film(folder / "d.safetensors", "eva", "jolly", encoder.encoder_name)
    elif spoil == "wrong intensity":
        write_film(folder / "d.safetensors", "eva", "sad", encoder.encoder_name, intensity="7")
    elif spoil == "damaged":
        (folder / "b.safetensors").write_text("404")
    else:
        folder = folder / "nothing"
    with pytest.raises(ValueError, match=reason):
        read_folder(folder)


def small_run(folder: Path, monkeypatch):
    from talking_portrait.training.takin import train_films as takin_train_films
    from talking_portrait.training.takin.film_batches import read_folder

    small = replace(TINY, width=16, heads=2, speech_layers=1, motion_layers=1)
    monkeypatch.setitem(takin_train_films.SIZES, "tiny", (small, 1.0))
    monkeypatch.setitem(takin_train_films.FRAMES, "tiny", 140)
    films = read_folder(folder)
    return films, takin_train_films.begin(films, "tiny", "x0", 6, 3, torch.device("cpu"))


def test_a_run_on_films_goes_on_as_if_it_had_not_stopped(folder, monkeypatch, tmp_path):
    films, whole = small_run(folder, monkeypatch)
    losses = [whole.run.learn(whole.loss()).loss for _ in range(4)]
    films, first = small_run(folder, monkeypatch)
    early = [first.run.learn(first.loss()).loss for _ in range(2)]
    state = tmp_path / "state" / "r.safetensors"
    state.parent.mkdir()
    first.run.save(state)
    films, second = small_run(folder, monkeypatch)
    torch.randn(5)
    second.run.resume(state)
    assert early + [second.run.learn(second.loss()).loss for _ in range(2)] == losses
    assert second.held_out(whole.draw, 2) == whole.held_out(whole.draw, 2)


def test_the_full_size_is_for_hubert_large():
    assert (FULL.encoder_layers, FULL.encoder_width, FULL.width, FULL.speech_layers, FULL.motion_layers) == (
        25,
        1024,
        512,
        4,
        8,
    )
    with torch.device("meta"):
        assert 90e6 < sum(value.numel() for value in TakinNet(FULL).parameters()) < 100e6


def test_a_trained_file_moves_a_face_and_refuses_another_encoder(folder, monkeypatch, tmp_path, encoder):
    _, run = small_run(folder, monkeypatch)
    run.run.learn(run.loss())
    run.write(tmp_path / "mine.safetensors", {"seed": 3, "command": ""})
    with safe_open(tmp_path / "mine.safetensors", "pt") as file:
        network = build_takin(load_file(tmp_path / "mine.safetensors"), file.metadata())
    network.load_state_dict(load_file(tmp_path / "mine.safetensors"))
    speech = Speech(torch.from_numpy(noise(1.5))[None], RATE)

    def engine(name: str) -> HubertTakinEngine:
        return HubertTakinEngine(network.eval, encoder.eval, name, TakinOptions(steps=2, emotion="happy"))

    with torch.inference_mode():
        motion = engine(encoder.encoder_name).generate(
            speech, Fraction(25), 1, MotionSettings(), lambda done, total: None
        )
        assert (
            len(motion) == 38
            and torch.isfinite(motion.expression).all()
            and motion.expression.std(0).max() > 0
        )
        with pytest.raises(
            ValueError,
            match="come from 'hubert-other', but this Takin-ADA network was trained on 'hubert-2x64-",
        ):
            engine("hubert-other").generate(
                speech, Fraction(25), 1, MotionSettings(), lambda done, total: None
            )
        with pytest.raises(ValueError, match="needs the whole sound"):
            LiveMotion(engine(encoder.encoder_name), 1, MotionSettings())
