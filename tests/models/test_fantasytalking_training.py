"""FantasyTalking's two stages of training: who hears what, where the loss counts, and that a killed run goes on."""

import json
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from talking_portrait.models.fantasytalking.checkpoint import fantasytalking_state
from talking_portrait.models.fantasytalking.network import FantasyTalking
from talking_portrait.models.fantasytalking.windows import PADDING, audio_windows
from talking_portrait.models.media.video_stream import VideoStreamWriter
from talking_portrait.training.data.clips import read_clips
from talking_portrait.training.data.film_motion import prepare
from talking_portrait.training.fantasytalking import (
    dual_stage,
    prepare_films,
    train,
    train_dual_stage,
    train_intensity,
)
from talking_portrait.training.fantasytalking.dual_stage import (
    CLIP,
    FRAME,
    begun,
    dropped,
    heard,
    latent_mask,
    place_weights,
    recipe,
    stage_loss,
)  # fmt: skip
from talking_portrait.training.fantasytalking.objective import Films, hearing, velocity
from talking_portrait.training.fantasytalking.train_extras import tiny_wan
from talking_portrait.training.learning.training import Training

from .stopping import stopped_after

FRAMES, LENGTH, SIDE, HEARD = 3, 18, 4, 8
PHOTO = Path(__file__).resolve().parents[2] / "samples" / "talking_portrait_astronaut.png"
STAGES = pytest.mark.parametrize("stage", [CLIP, FRAME])


@pytest.fixture(scope="module")
def wan():
    network = tiny_wan(0).requires_grad_(False)
    with hearing(network):
        yield network


def films(count: int = 2) -> Films:
    make = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=make)

    lips = torch.zeros(count, FRAMES, SIDE, SIDE)
    lips[:, :, 2:, 1:3] = 1
    return Films(
        normal(count, 16, FRAMES, SIDE, SIDE), normal(count, 20, FRAMES, SIDE, SIDE), normal(count, 1, 1280),
        normal(count, 2, 32), torch.zeros(count, 512), torch.zeros(count, 2), normal(count, LENGTH, HEARD), lips,
    )  # fmt: skip


def adapter(wan, seed: int = 1) -> FantasyTalking:
    """Weights that are heard."""
    torch.manual_seed(seed)
    made = begun(FantasyTalking(HEARD, 16, wan.dim, len(wan.blocks)))
    for block in made.blocks:
        torch.nn.init.normal_(block.v_proj.weight)
    return made


def moved(wan, audio) -> torch.Tensor:
    """Wan's prediction for given films with what is heard."""
    given = films()
    return velocity(wan, None, given.latents, torch.tensor([0.5, 0.5]), given, audio=audio)


@STAGES
def test_fresh_weights_change_nothing_and_trained_ones_do(wan, stage):
    fresh = begun(FantasyTalking(HEARD, 16, wan.dim, len(wan.blocks)))
    speech, silent = films().speech, moved(wan, None)
    assert torch.equal(moved(wan, heard(fresh, speech, FRAMES, stage)), silent)
    assert (moved(wan, heard(adapter(wan), speech, FRAMES, stage)) - silent).abs().max() > 1e-3


def test_a_clip_is_heard_by_all_frames_and_a_window_by_its_own(wan):
    made, speech = adapter(wan), films().speech
    late = speech.clone()
    late[:, -2:] += 3  # after the first frame's window
    windows = audio_windows(4 * (FRAMES - 1) + 1, LENGTH)
    assert LENGTH - 2 not in windows.token_index()[0] and LENGTH - 1 in windows.token_index()[-1]
    context = heard(made, speech, FRAMES, FRAME)
    assert (context.numbers[1].eq(0) == torch.tensor(windows.token_index()).eq(PADDING)).all()
    assert context.numbers[1].max() == 2 * LENGTH
    tokens = made.proj_model(speech)
    keys, values = context.keys_and_values(1, 2, torch.float32)
    wanted = made.blocks[1](windows.split(tokens).flatten(0, 1))
    torch.testing.assert_close(keys, wanted[0])
    torch.testing.assert_close(values, wanted[1])

    def hears(stage: str, block: int = 0) -> list[bool]:
        """Whether each frame of the first block's attention is changed by the late sound."""
        seen = []
        hook = wan.blocks[block].cross_attn.o.register_forward_pre_hook(
            lambda _, given: seen.append(given[0])
        )
        moved(wan, heard(made, speech, FRAMES, stage))
        moved(wan, heard(made, late, FRAMES, stage))
        hook.remove()
        change = (seen[0] - seen[1]).abs().unflatten(1, (FRAMES, -1)).amax((0, 2, 3))
        return (change > 1e-6).tolist()

    assert hears(CLIP) == [True] * FRAMES
    assert hears(FRAME)[0] is False and hears(FRAME)[-1] is True


@STAGES
def test_a_film_that_is_not_to_hear_does_not(wan, stage):
    context = heard(adapter(wan), films().speech, FRAMES, stage, torch.tensor([1.0, 0.0]))
    with_one, silent = moved(wan, context), moved(wan, None)
    assert torch.allclose(with_one[1], silent[1], atol=1e-6) and (with_one[0] - silent[0]).abs().max() > 1e-3


def test_a_tenth_of_reference_sound_and_text_is_left_out():
    torch.manual_seed(0)
    shown, hears = dropped(films(2000))
    for share in (
        (shown.beside.abs().amax((1, 2, 3, 4)) == 0), (shown.text.abs().amax((1, 2)) == 0), hears == 0,
    ):  # fmt: skip
        assert 0.07 < share.float().mean() < 0.13
    assert torch.equal(shown.beside.abs().amax((1, 2, 3, 4)) == 0, shown.clip_vision.abs().amax((1, 2)) == 0)
    assert all(dropped(films(1))[1] == 1 for _ in range(60)), "a batch of one teaches nothing"


def test_the_mask_follows_the_lips_into_the_latent():
    mask = torch.zeros(9, 32, 32)
    for number in range(9):
        mask[number, 16:24, 2 * number : 2 * number + 8] = 1
    small = latent_mask(mask, (3, 8, 8))
    across = (small.sum(1) * torch.arange(8.0)).sum(1) / small.sum((1, 2))
    assert small.shape == (3, 8, 8) and across[2] - across[1] > 1 < across[1] - across[0]
    weights = place_weights(torch.stack([small, 0.5 * small]))
    assert torch.allclose(weights.mean((1, 2, 3, 4)), torch.ones(2)) and torch.allclose(
        weights[0], weights[1]
    )


@pytest.mark.parametrize(
    ("stage", "drawn", "masked"), [(CLIP, 0.9, False), (FRAME, 0.1, False), (FRAME, 0.9, True)]
)
def test_only_frame_level_counts_lips_alone_and_not_always(wan, monkeypatch, stage, drawn, masked):
    seen = []

    def loss(wan, extras, films, shift, weights, audio) -> torch.Tensor:
        seen.append(weights)
        return torch.zeros(())

    monkeypatch.setattr(dual_stage, "flow_loss", loss)
    real = torch.rand
    monkeypatch.setattr(torch, "rand", lambda *size: torch.tensor(drawn) if size == ((),) else real(*size))
    stage_loss(wan, adapter(wan), films(), stage)
    assert (seen[0] is not None) == masked
    assert not masked or (seen[0][:, :, :, :2] == 0).all()


@STAGES
def test_a_killed_run_goes_on_bit_by_bit_and_the_base_stays(wan, tmp_path, stage):
    before = {key: value.clone() for key, value in wan.state_dict().items()}

    def begin() -> tuple[Training, FantasyTalking]:
        made = adapter(wan)
        torch.manual_seed(5)
        return Training(made, recipe(4, 1e-3, warm_up=2), 5), made

    def steps(run: Training, made: FantasyTalking, count: int) -> list[float]:
        return [run.learn(stage_loss(wan, made, films(), stage)).loss for _ in range(count)]

    whole = begin()
    losses = steps(*whole, 4)
    first = begin()
    early = steps(*first, 2)
    first[0].save(tmp_path / "run.safetensors")
    second = begin()
    torch.randn(3)
    second[0].resume(tmp_path / "run.safetensors")
    assert early + steps(*second, 2) == losses
    one, other = whole[1].state_dict(), second[1].state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)
    start = adapter(wan).state_dict()
    assert all(not torch.equal(one[key], start[key]) for key in one), "something does not learn"
    assert all(torch.equal(before[key], value) for key, value in wan.state_dict().items())


@torch.no_grad()
def encoders() -> prepare_films.Encoders:
    """In the place of Wan's own: four frames to a latent one, a pixel of sixteen."""

    def latents(pictures: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(pictures.permute(0, 3, 1, 2), 128)
        frames = torch.cat([small[:1], small[1:].unflatten(0, (-1, 4)).mean(1)])
        return frames.repeat(1, 6, 1, 1)[:, :16].transpose(0, 1)

    return prepare_films.Encoders(
        latents, lambda picture: torch.zeros(1, 1280),
        lambda wave: torch.from_numpy(wave[: 18 * 100].reshape(18, 100)[:, :HEARD]), torch.zeros(2, 32),
    )  # fmt: skip


def test_a_folder_of_films_becomes_a_file_in_the_published_form(tmp_path, monkeypatch):
    wan = tiny_wan(0).requires_grad_(False)
    monkeypatch.setattr(prepare_films, "MAX_FRAMES", 9)
    (tmp_path / "films").mkdir()
    picture = torch.from_numpy(np.array(Image.open(PHOTO).convert("RGB").resize((256, 256)))).float() / 255
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32))[None]
    with VideoStreamWriter(tmp_path / "films" / "a.mp4", Fraction(23), noise, 16000) as writer:
        for _ in range(21):
            writer.write(picture[None])
    prepare(
        tmp_path / "films", tmp_path / "out", lambda film: prepare_films.all_clips(film, encoders()),
        lambda film: {"encoder": "wav2vec2-test"},
    )  # fmt: skip
    clips = read_clips(tmp_path / "out", train.MAKER, train.TENSORS)
    first = train.given([clips[0]], torch.device("cpu"))
    assert (
        len(clips) == 2 and first.latents.shape == (1, 16, 3, 4, 4) and first.beside.shape == (1, 20, 3, 4, 4)
    )
    assert first.beside[0, :4, 0].min() == 1 and not first.beside[0, :4, 1:].any() and first.speech.std() > 0
    lips = first.lips[0]
    assert lips.max() > 0.05 and lips[:, 0].max() < 0.01, "the mouth is at the top"
    made = adapter(wan)
    out = tmp_path / "mine.safetensors"
    options = {"batch": 2, "seed": 1, "out": out, "rate": 1e-3, "report": 1}
    told = train.train_stages(wan, made, clips, {CLIP: 2, FRAME: 2}, **options)
    train.write(made, out, {"seed": 1, "command": "test", **told})
    assert [len(told[name]["curve"]) for name in (CLIP, FRAME)] == [2, 2]
    state = fantasytalking_state(load_file(out))
    assert state.keys() == made.state_dict().keys()
    assert "forward" not in vars(wan.blocks[0]) and "forward" not in vars(wan.blocks[0].cross_attn)
    kept = {key: value.clone() for key, value in made.state_dict().items()}
    train.train_stages(wan, made, clips, {CLIP: 2, FRAME: 2}, **options)  # what is done is not done again
    assert all(torch.equal(kept[key], value) for key, value in made.state_dict().items())


@pytest.mark.slow
def test_table_4_is_written_from_its_films_to_its_figures(tmp_path, monkeypatch):
    for name, value in (("KNOWN", 1), ("NEW", 1), ("FILMS", 4), ("HELD_OUT", 2), ("BATCH", 2), ("RATE", 0.1)):
        monkeypatch.setattr(train_dual_stage, name, value)
    words = [str(tmp_path / "work"), str(tmp_path / "result.json"), "--base-steps", "2", "--steps", "5"]
    monkeypatch.setattr(sys, "argv", ["train_dual_stage", *words])
    threads = torch.get_num_threads()
    train_dual_stage.main()
    torch.set_num_threads(threads)
    found = json.loads((tmp_path / "result.json").read_text())["seed 1"]
    assert found.keys() >= {"clip level", "frame level", "both"}
    for name in ("clip level", "frame level", "both"):
        assert found[name].keys() == {"known people", "new people", "loss"}
        assert found[name]["known people"]["head_motion_over_truth"] > 0
    assert found["the true films"]["known people"]["lips_r"] > 0.9
    assert abs(found["without sound"]["known people"]["lips_r"]) < 0.9
    figures = [{**found[name], "loss": None} for name in ("clip level", "frame level", "both")]
    assert figures[0] != figures[1] != figures[2], "what is measured does not hear the adapter"
    films = load_file(tmp_path / "work" / "films.safetensors")
    mouth, pictures = films["masks"][:, :, None], films["pictures"]
    moved = (pictures - pictures[:, :1]).abs().mean((1, 2), keepdim=True)
    jaw = films["jaw"][:, train_dual_stage.SHOWN]
    assert jaw.std() > 0.05 and (moved * mouth.mean((1, 2), keepdim=True)).sum() > 0
    assert 0.03 < mouth.mean() < 0.4
    check_stopped(tmp_path, monkeypatch, found)
    check_intensity(tmp_path, monkeypatch)


def check_stopped(tmp_path: Path, monkeypatch, whole: dict) -> None:
    """On the same films, stopped in every one of its trainings in turn: in the end the figures are the same."""
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "work" / "films.safetensors", tmp_path / "again")
    words = [str(tmp_path / "again"), str(tmp_path / "again.json"), "--base-steps", "2", "--steps", "5"]
    monkeypatch.setattr(sys, "argv", ["train_dual_stage", *words])
    threads, stops = torch.get_num_threads(), 0

    with stopped_after(monkeypatch, 1):
        while stops < 9:
            try:
                train_dual_stage.main()
                break
            except SystemExit as error:
                stops += "stopped after 1 of" in str(error)
    torch.set_num_threads(threads)
    assert stops == 4, "the Wan, and three adapters; the last stage of both is one step"
    found = json.loads((tmp_path / "again.json").read_text())["seed 1"]
    for name in ("clip level", "frame level", "both", "base_loss"):
        assert found[name] == whole[name]


def check_intensity(tmp_path: Path, monkeypatch) -> None:
    """Of the same films and the same Wan: labels follow the films' own motion, and the coefficients are heard."""
    world = train_dual_stage.World(tmp_path / "work")
    face, body = train_intensity.labels(world).T
    assert 0 <= float(face.min()) <= float(face.max()) <= 1
    turned = world.films["yaw"].var(1)
    assert (body[turned.argsort()].diff() >= 0).all() and body.std() > 0.1
    for name, value in (("KNOWN", 1), ("EACH_PERSON", 4), ("MADE", 2), ("RATE", 0.1)):
        monkeypatch.setattr(train_intensity, name, value)
    words = [str(tmp_path / "work"), str(tmp_path / "strength.json"), "--base-steps", "2", "--steps", "3"]
    monkeypatch.setattr(sys, "argv", ["train_intensity", *words])
    threads = torch.get_num_threads()
    train_intensity.main()
    torch.set_num_threads(threads)
    found = json.loads((tmp_path / "strength.json").read_text())["seed 1"]
    assert found["untrained"]["body"]["1 over 0"] == 1, "fresh weights change nothing"
    assert len(set(found["trained"]["body"].values())) > 2, "the coefficient is not heard"
