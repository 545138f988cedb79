"""ACTalker's trainer: from films to clips, one step of all its weights or of the control alone, resumed, and loaded."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from talking_portrait.models.actalker.core_model import check_tensors, core_state
from talking_portrait.models.actalker.parts import PARTS
from talking_portrait.models.actalker.unet import ACTalkerUNet, unet_config
from talking_portrait.models.media.video_stream import VideoStreamWriter
from talking_portrait.training.actalker import objective, prepare_films, train
from talking_portrait.training.actalker.fresh import filled
from talking_portrait.training.data.clips import read_clips
from talking_portrait.training.data.film_motion import prepare

WIDTH, CONTEXT, FRAMES, SIDE = 64, 48, 2, 8
PHOTO = Path(__file__).resolve().parents[2] / "samples" / "talking_portrait_astronaut.png"


@pytest.fixture(scope="module", autouse=True)
def with_gradients():
    with torch.inference_mode(False), torch.enable_grad():
        yield


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A narrow UNet nothing of which is zero."""
    torch.manual_seed(0)
    network = filled(ACTalkerUNet(**unet_config(WIDTH, CONTEXT, 64, 96)))
    for parameter in network.parameters():
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    return {key: value.detach() for key, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder, count = tmp_path_factory.mktemp("clips"), 3
    make = torch.Generator().manual_seed(1)
    shapes = {
        "latents": (FRAMES, 4, SIDE, SIDE), "portrait": (4, SIDE, SIDE), "identity": (1, CONTEXT),
        "audio": (FRAMES, 4, CONTEXT), "motion": (FRAMES, 1, CONTEXT), "no_audio": (4, CONTEXT),
        "no_motion": (1, CONTEXT), "pose": (WIDTH, SIDE, SIDE),
    }  # fmt: skip
    tensors = {name: torch.randn(count, *shape, generator=make).half() for name, shape in shapes.items()}
    mouth = torch.zeros(count, 8 * SIDE, 8 * SIDE)
    mouth[:, 32:, 16:48] = 1
    tensors |= {
        "mouth": mouth.half(),
        "rest": (1 - mouth).half(),
        "frames": torch.ones(count, dtype=torch.long),
    }
    save_file(tensors, folder / "film.safetensors", {"encoder": "test"})
    return read_clips(folder, train.MAKER, train.TENSORS)


def unet_file(folder: Path, state: dict[str, torch.Tensor], prefix: str = "") -> Path:
    path = folder / "unet.safetensors"
    save_file({prefix + key: value.contiguous() for key, value in state.items()}, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("what", ["all", "control"])
def test_steps_move_what_is_chosen_go_on_bit_by_bit_and_give_a_file_that_loads(state, clips, tmp_path, what):
    model = unet_file(tmp_path, state)

    def begun(name: str) -> train.ACTalkerTraining:
        network = train.read_unet(model, 1)
        torch.manual_seed(4)
        return train.ACTalkerTraining(network, clips, what, 2, 1, 3, tmp_path / f"{name}.safetensors", 1e-3)

    whole = begun("whole")
    assert whole.train(report=1)
    halted = begun("halted")
    with train.core_in_training():
        halted.run.learn(halted.loss())
    halted.run.save(halted.resume)
    second = begun("halted")
    assert second.run.step == 1 and second.train(report=1)
    weights, other = (dict(run.network.named_parameters()) for run in (whole, second))
    assert all(torch.equal(value, other[name]) for name, value in weights.items())
    moved = {name for name, value in weights.items() if not torch.equal(value, state[name])}
    assert all(train.is_control(name) for name in moved) == (what == "control")
    assert any(".mamba_blocks." in name for name in moved) and any(".to_v_ip." in name for name in moved)
    whole.write({"seed": 3, "command": "test"})
    written = core_state(load_file(tmp_path / "whole.safetensors"))
    check_tensors(ACTalkerUNet(**unet_config(WIDTH, CONTEXT, 64, 96), device="meta"), written)
    assert "forward" not in vars(train.layers_of(whole.network)[0]), "layers keep computing themselves again"


@pytest.mark.slow
def test_stable_video_diffusion_gets_the_missing_layers(state, tmp_path):
    plain = {key: value for key, value in state.items() if not train.is_control(key)}
    network = train.read_unet(unet_file(tmp_path, plain, "model.diffusion_model."), 1)
    parameters = dict(network.named_parameters())
    assert all(torch.equal(parameters[key], value) for key, value in plain.items())
    new = [value for key, value in parameters.items() if train.is_control(key)]
    assert new and all(torch.isfinite(value).all() for value in new)
    lacking = {key: value for key, value in plain.items() if "middle_block" not in key}
    with pytest.raises(ValueError, match="it is no UNet of Stable Video Diffusion XT"):
        train.read_unet(unet_file(tmp_path, lacking, "model.diffusion_model."), 1)
    with pytest.raises(ValueError, match="unet.safetensors cannot be used"):
        train.read_unet(unet_file(tmp_path, {"x": torch.zeros(1)}), 1)


def test_one_time_in_ten_a_clip_hears_or_sees_nothing(clips):
    random, found = np.random.default_rng(0), {"audio": 0, "motion": 0}
    for _ in range(600):
        films = train.given(clips[0], random, torch.device("cpu"), torch.zeros(1, 96))
        for name in found:
            nothing = clips[0].rows(f"no_{name}").float()[0]
            found[name] += torch.equal(getattr(films, name)[0, 1], nothing)
    assert all(36 < count < 90 for count in found.values())
    assert films.regions.masks[0].shape == (1, 1, 64, 64)


def test_portrait_and_identity_are_left_out_together():
    seen = []

    def network(x, steps, context, **kwargs):
        seen.append((bool(x[0, 4:].abs().sum() > 0), bool(context[0].abs().sum() > 0)))
        return x[:, :4]

    make = torch.randn
    films = objective.Films(
        make(1, 1, 4, 8, 8), make(1, 4, 8, 8), make(1, 1, 6), make(1, 1, 2, 6), make(1, 1, 1, 6),
        objective.Regions(), torch.zeros(1, 6),
    )  # fmt: skip
    for _ in range(300):
        objective.velocity_loss(network, films, np.random.default_rng(0), (0.0, 1.0), dropped=0.2)
    assert {pair for pair in seen} == {(True, True), (False, False)}
    assert 35 < sum(not picture for picture, _ in seen) < 90


class Straight(torch.nn.Module):
    """In the place of a network of pictures: the same numbers of each, in a given shape."""

    def __init__(self, *shape: int):
        super().__init__()
        self.shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).mean(1).view(-1, *[1] * len(self.shape)).expand(len(x), *self.shape)


class Head(Straight):
    def forward(self, x: torch.Tensor):
        return super().forward(x), None


def stand_ins() -> prepare_films.Encoders:
    torch.manual_seed(0)
    parts = {
        "expression": Straight(512), "head": Head(3), "arcface": Straight(512), "identity": Straight(1024),
        "pose": Straight(320, 16, 16),
        "audio": PARTS["audio"].build({
            "proj1.weight": torch.empty(4, 19200), "norm.weight": torch.empty(1024),
            "proj3.weight": torch.empty(32768, 4),
        }, {}),
        "motion": PARTS["motion"].build({"proj1.weight": torch.empty(1018, 512)}, {}),
    }  # fmt: skip

    def whisper(mel: torch.Tensor) -> torch.Tensor:
        return torch.randn(len(mel), 1500, 5, 384, generator=torch.Generator().manual_seed(0))

    def latents(picture: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(picture, 8)
        return torch.cat([small, small[:, :1]], 1)

    return prepare_films.Encoders(latents, whisper, parts, torch.device("cpu"))


@pytest.mark.slow
def test_a_folder_of_films_becomes_clips_that_the_trainer_takes(tmp_path):
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    picture = torch.from_numpy(
        np.asarray(Image.open(PHOTO).convert("RGB").resize((160, 160)), np.float32) / 255
    )
    wave = torch.sin(torch.arange(3 * 16000) / 10)[None]
    with VideoStreamWriter(films / "mine.mp4", Fraction(25), wave, 16000) as writer:
        writer.write(picture.expand(60, -1, -1, -1))
    encoders = stand_ins()
    with torch.inference_mode():
        prepare(
            films,
            out,
            lambda film: prepare_films.all_clips(film, encoders, 128),
            lambda film: {"encoder": "x"},
        )
    found = read_clips(out, train.MAKER, train.TENSORS)
    assert len(found) == 2, "60 frames hold two clips of 28"
    one = train.given(found[1], np.random.default_rng(1), torch.device("cpu"), torch.zeros(1, 768))
    assert one.latents.shape == (1, 14, 4, 16, 16) and one.audio.shape == (1, 14, 32, 1024)
    assert one.motion.shape == (1, 14, 1, 1024) and one.identity.shape == (1, 1, 1024)
    mouth, rest = one.regions.masks
    assert 0.005 < mouth.mean() < 0.05 < rest.mean() < 0.3 and (mouth + rest).max() <= 1.01
    assert one.portrait.abs().max() > 0.5 and one.pose is not None and one.pose.shape == (1, 320, 16, 16)
    tokens = [found[k].rows("audio")[0] for k in (0, 1)]
    assert not torch.equal(*tokens), "both clips hear the same"
