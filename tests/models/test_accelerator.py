"""On a second device: nothing is mixed, numbers are the CPU's, and drawing neither uploads nor waits for each frame."""

import copy
from fractions import Fraction

import pytest
import torch
from talking_portrait.models.actalker import selective_scan_blocked
from talking_portrait.models.actalker.selective_scan import selective_scan
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import CONTROLS, FaceMotion, resolve
from talking_portrait.models.joyvasa.engine import JoyVASAEngine, JoyVASAOptions
from talking_portrait.models.kdtalker.engine import KDTalkerEngine
from talking_portrait.models.kdtalker.network import KDTalkerDenoiser
from talking_portrait.models.liveportrait.checkpoint import FILES
from talking_portrait.models.liveportrait.renderer import LivePortraitRenderer
from talking_portrait.models.media.pixels import rounded_bytes
from talking_portrait.models.portrait import FaceLandmarks478
from talking_portrait.models.takin.engine import TakinOptions
from talking_portrait.tools.counted_operations import Operations
from talking_portrait.tools.pretend_accelerator import CPU, DEVICE, OnDevice, accelerator, moved, plain
from talking_portrait.tools.random_weights import SMALL_DENOISER, liveportrait_states
from talking_portrait.training.takin.shipped import engine_of

from . import engine_samples as samples
from .shipped_engines import sample
from .test_liveportrait_renderer import moving, points, smooth_picture
from .test_renderers import PHOTO, POINTS, tensor
from .test_selective_scan import problem

SIZE = (300, 240)


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("wrong", [
    lambda here, there: here + there, lambda here, there: torch.cat([here, there]),
    lambda here, there: here[there.long()], lambda here, there: there.numpy(),
])  # fmt: skip
def test_it_refuses_what_a_gpu_refuses(wrong):
    with accelerator():
        there = torch.ones(3, device=DEVICE)
        with pytest.raises((RuntimeError, TypeError), match="pretend:0"):
            wrong(torch.ones(3), there)


def test_it_computes_and_counts_what_goes_up_and_what_is_waited_for():
    with accelerator() as traffic:
        x = torch.arange(6.0).to(DEVICE).reshape(2, 3)
        y = (x @ x.T + torch.tensor(1.0)).relu_()[:, [1, 0]]
        assert isinstance(y, OnDevice) and not traffic.waits and traffic.uploads.total() == 2
        assert y.cpu().tolist() == [[15.0, 6.0], [51.0, 15.0]] and float(y[0, 0]) == 15
    assert traffic.waits.total() == 2 and all("test_accelerator.py" in line for line in traffic.waits)


class Networks:
    """LivePortrait's own networks with random numbers, on one device; `asked` counts how often each was asked for."""

    dtype = torch.float32

    def __init__(self, device: torch.device):
        self.device, self.asked, states = device, 0, liveportrait_states(small=True)
        self.nets = {}
        for part, file in FILES.items():
            network = file.build(states[file.safetensors], {}, operations=torch.nn)
            network.load_state_dict(states[file.safetensors])
            self.nets[part] = network.eval() if device == CPU else moved(network.eval())

    def memory(self):
        return 1 << 30, 3 << 30  # one frame

    def encoders(self):
        return self.nets["appearance"], self.nets["motion"]

    def drawers(self, memory):
        self.asked += 1
        return self.nets["warping"], self.nets["generator"]

    def retargeting(self):
        return self.nets["stitching"]


@pytest.fixture(scope="module")
def on_both():
    """Films of one frame on the CPU, of one and of two on the device, and the traffic of each."""
    films, traffics = [], []
    with torch.inference_mode():
        for device in (CPU, DEVICE):
            renderer = LivePortraitRenderer(Networks(device))
            with accelerator():
                portrait = renderer.prepare(smooth_picture(*SIZE), points(*SIZE))
            for count in (1,) if device == CPU else (1, 2):
                motion = resolve(moving(3), portrait.motion, portrait.policy).slice(2 - count, 2)
                with accelerator() as traffic:
                    renderer.networks.asked = 0
                    films.append(
                        [rounded_bytes(frames) for frames in renderer.film(portrait, motion, device)]
                    )
                    traffics.append((dict(traffic.uploads), dict(traffic.waits), renderer.networks.asked))
    return films, traffics


@pytest.mark.slow
def test_liveportrait_draws_the_same_bytes_there(on_both):
    (here, there, _), _ = on_both
    assert all(isinstance(frames, OnDevice) for frames in there)
    for a, b in zip(here, there, strict=True):
        assert (a.int() - plain(b).int()).abs().max() <= 1 and a.float().std() > 20


@pytest.mark.slow
def test_liveportrait_uploads_nothing_for_a_frame_and_reads_one_late_flag_a_batch(on_both):
    _, (_, (up, waits, asked), (up_of_more, waits_of_more, asked_of_more)) = on_both
    assert asked == asked_of_more == 1, "networks are asked for once a film"
    assert up_of_more == up, "one more frame moved more data to the device"
    assert sum(waits_of_more.values()) - sum(waits.values()) <= 1, (waits, waits_of_more)


@pytest.mark.slow
def test_liveportrait_draws_many_pictures_at_once_there():
    """As a dub does, and gives what the CPU gives."""
    picture, face = smooth_picture(*SIZE), points(*SIZE)
    found = []
    for device in (CPU, DEVICE):
        renderer = LivePortraitRenderer(Networks(device))
        with accelerator():
            portraits = renderer.prepare_each([picture, picture.flip(1)], [face, face])
            motion = resolve(moving(3), portraits[0].motion, portraits[0].policy).slice(1, 2)
            drawn = renderer.draw_each(portraits, [motion, motion], device)
        found.append([plain(one) if device == DEVICE else one for one in drawn])
        assert renderer.networks.asked == 2  # once to prepare both, once to draw both
    for here, there in zip(*found, strict=True):
        assert (here - there).abs().max() < 2 / 255
    assert (found[0][0] - found[0][1]).abs().max() > 0.1


def on_device(network: torch.nn.Module) -> torch.nn.Module:
    """A copy of a network with its weights on the device."""
    return moved(copy.deepcopy(network))


def builtin(device, place):
    return BuiltinMotionEngine(
        lambda: tuple(place(network) for network in samples.hearing_networks()), device
    )


def takin(device, place, steps=2):
    motion, hearing = (place(network) for network in samples.takin_networks())
    return engine_of(motion, hearing, TakinOptions(steps=steps), device=device)


def kdtalker(device, place):
    extractor, denoiser = samples.Extractor(), place(samples.Denoiser())
    encoder = place(samples.wav2lip_encoder())
    return KDTalkerEngine(lambda: denoiser, lambda: encoder, lambda: extractor, samples.STATISTICS, 3, device)


def joyvasa(device, place, steps=2):
    network = place(samples.joyvasa_network())
    return JoyVASAEngine(lambda: network, samples.TEMPLATE, JoyVASAOptions(steps=steps), device)


ENGINES = {"built-in": builtin, "Takin-ADA": takin, "KDTalker": kdtalker, "JoyVASA": joyvasa}


def spoken(engine, seconds: float):
    """(motion, traffic) of some seconds of the sample."""
    sound = Speech(torch.from_numpy(sample()[: int(16000 * seconds)].copy())[None], 16000)
    with accelerator() as traffic:
        motion = engine.generate(
            sound, Fraction(25), 3, MotionSettings(), lambda done, total: None, samples.somebody()
        )
    return motion, traffic


@pytest.mark.parametrize(
    "name", [pytest.param("KDTalker", marks=pytest.mark.slow), "built-in", "Takin-ADA", "JoyVASA"]
)
def test_every_engine_moves_the_same_there(name):
    here, _ = spoken(ENGINES[name](CPU, lambda network: network), 1.0)
    there, traffic = spoken(ENGINES[name](DEVICE, on_device), 1.0)
    for field in ("expression", "pose", "translation", "scale", "controls"):
        one, other = getattr(here, field), getattr(there, field)
        assert (one is None) == (other is None)
        if one is not None:
            assert not isinstance(other, OnDevice) and torch.allclose(one, other, atol=1e-4), field
    assert traffic.uploads.total() <= 12, traffic.uploads.most_common()
    assert traffic.waits.total() <= 8, traffic.waits.most_common()


@pytest.mark.parametrize("name", ["Takin-ADA", "JoyVASA"])
def test_a_step_waits_for_nothing_and_uploads_its_noise_at_most(name):
    """Noise is drawn on the CPU, so that a seed gives the same motion on every device."""
    (_, few), (_, many) = (spoken(ENGINES[name](DEVICE, on_device, steps), 1.0) for steps in (2, 6))
    assert many.waits == few.waits
    assert many.uploads.total() - few.uploads.total() <= 4, many.uploads.most_common()


def test_kdtalker_s_denoiser_uploads_nothing_for_a_step():
    network = on_device(KDTalkerDenoiser(SMALL_DENOISER).eval())
    with accelerator() as traffic:
        noisy, speech = (torch.zeros(1, 64, size, device=DEVICE) for size in (70, 512))
        reference, canonical = (torch.zeros(1, size, device=DEVICE) for size in (70, 63))
        before = traffic.uploads.copy()
        network(noisy, 5, reference, canonical, speech)
    assert traffic.uploads == before and not traffic.waits


@pytest.fixture(scope="module")
def warped():
    """Films of 2 frames on the CPU and of 2, 4 and 8 on the device, by the built-in warp, and their traffic."""
    films, traffics = [], []
    with torch.inference_mode():
        renderer = WarpRenderer()
        image = tensor(PHOTO)
        portrait = renderer.prepare(image, FaceLandmarks478(POINTS))
        random = torch.Generator().manual_seed(1)
        controls, still = 0.5 * torch.rand(8, len(CONTROLS), generator=random), torch.zeros(8, 3)
        motion = FaceMotion.from_controls(controls, still + 4, still, torch.ones(8), Fraction(25), source={})
        resolved = resolve(motion, portrait.motion, portrait.policy)
        for device, count in ((CPU, 2), (DEVICE, 2), (DEVICE, 4), (DEVICE, 8)):
            with accelerator() as traffic:
                films.append(renderer.render_bytes(portrait, resolved.slice(0, count), device))
                traffics.append((traffic.uploads.copy(), traffic.waits.copy()))
    return films, traffics


def test_the_warp_draws_the_same_bytes_there(warped):
    (here, there, *_), _ = warped
    difference = (here.int() - plain(there).int()).abs()
    assert isinstance(there, OnDevice) and difference.max() <= 2 and (difference > 1).float().mean() < 1e-4


def test_the_warp_sends_up_and_waits_no_more_for_more_frames(warped):
    """The portrait's tables go up with the first film and stay there."""
    _, (_, _, (up, waits), (up_of_more, waits_of_more)) = warped
    assert up_of_more == up and waits_of_more == waits
    assert up.total() <= 12 and waits.total() == 0, (up, waits)


@pytest.mark.parametrize(("rows", "most"), [(1, 5217 // 8), (4, 5217 // 4)])
def test_a_device_without_kernels_starts_far_fewer_operations_than_there_are_tokens(rows, most, monkeypatch):
    """As many as ACTalker's call at 576 x 576 does, whose 640 channels are one here."""
    monkeypatch.setattr(
        selective_scan_blocked, "BLOCK_ELSEWHERE", selective_scan_blocked.BLOCK_ELSEWHERE // 640
    )
    with accelerator():
        given = {key: value.to(DEVICE) for key, value in problem(rows, 5217, 1).items()}
        with Operations() as run:
            selective_scan(**given)
    assert run.counted["aten::addcmul"] < most and run.counted.total() < 2.5 * most
