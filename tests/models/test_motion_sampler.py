"""Motion samplers: the mathematics on problems whose answer is known, and every sampler in every engine."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from talking_portrait.models.contracts import MotionSampler, members
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion.time import joined
from talking_portrait.models.joyvasa.sampling import cosine_betas
from talking_portrait.models.joyvasa.sampling import schedule as joyvasa_schedule
from talking_portrait.models.kdtalker.engine import KDTalkerEngine
from talking_portrait.models.kdtalker.sampling import schedule as kdtalker_schedule
from talking_portrait.models.sampling import DDIM, DDPM, SCHEDULERS, DiffusersSampler, DiffusionSchedule
from talking_portrait.models.sampling.schedule import from_noisiest
from talking_portrait.models.takin.engine import TakinEngine, TakinOptions
from talking_portrait.models.takin.live_motion import LiveMotion
from talking_portrait.models.takin.sampling import alpha_bars
from talking_portrait.models.takin.sampling import schedule as takin_schedule
from talking_portrait.training.takin.shipped import engine_of

from .engine_samples import (
    STATISTICS,
    Denoiser,
    Extractor,
    joyvasa,
    remembering_wav2lip,
    small_takin_networks,
    somebody,
)
from .motion_samples import same

SCHEDULES = {
    "KDTalker": kdtalker_schedule(10),
    "JoyVASA": joyvasa_schedule(cosine_betas(50), 0),
    "Takin-ADA": takin_schedule(alpha_bars("cosine", 1000).float(), 10),
}
MAKERS = {
    "ddim": DDIM,
    "ddim, eta 1": lambda **own: DDIM(eta=1.0, **own),
    "ddpm": DDPM,
    **{name: lambda name=name, **own: DiffusersSampler(name, **own) for name in SCHEDULERS},
}
STEADY = [name for name in MAKERS if name not in ("ddim, eta 1", "ddpm")]  # that add no noise


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def no_noise(done: int) -> torch.Tensor:
    raise AssertionError("this sampler is not one of chance")


# ------------------------------------------------------------ the same steps as diffusers


def linear_network(schedule: DiffusionSchedule):
    """Some fixed prediction that depends on the latent and on the step."""
    weight = torch.randn(7, 7, generator=torch.Generator().manual_seed(1)) / 7
    return lambda latent, step: latent @ weight + math.sin(step / len(schedule.alpha_bars))


def theirs(kind, schedule: DiffusionSchedule, steps: int, **options):
    """A scheduler of diffusers with an engine's own alphas that visits the engine's own steps."""
    bars = schedule.alpha_bars.double()
    kept = bars / torch.cat([torch.ones(1).double(), bars[:-1]])
    limited = schedule.limit < math.inf
    clip = {"clip_sample": limited, "clip_sample_range": schedule.limit if limited else 1.0}
    spacing = "leading" if schedule is SCHEDULES["KDTalker"] else "trailing"
    made = kind(
        num_train_timesteps=len(bars), trained_betas=(1 - kept).tolist(), prediction_type=schedule.predicts,
        timestep_spacing=spacing, **clip, **options,
    )  # fmt: skip
    made.alphas_cumprod = bars.float()
    made.set_timesteps(steps)
    assert made.timesteps.tolist() == schedule.visits(steps)
    return made


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("engine", SCHEDULES)
def test_our_ddim_is_that_of_diffusers(engine, eta):
    """To 2e-5, and with noise 1e-4: 1 - alpha-bar of the noisiest steps is coarse in the float32 of diffusers."""
    schedule, noises = SCHEDULES[engine], torch.randn(10, 3, 5, 7)
    predict, start = linear_network(schedule), torch.randn(3, 5, 7)
    ours = DDIM(steps=10, eta=eta).sample(predict, start, schedule, lambda done: noises[done])
    scheduler, latent = theirs(DDIMScheduler, schedule, 10, set_alpha_to_one=True), start
    for done, step in enumerate(scheduler.timesteps):
        options = {"variance_noise": noises[done]} if eta else {}
        latent = scheduler.step(
            predict(latent, int(step)), step, latent, eta=eta, use_clipped_model_output=True, **options
        ).prev_sample
    limit = 1e-4 if eta else 2e-5
    assert ours.abs().max() > 0.3 and (ours - latent).abs().max() < limit


@pytest.mark.parametrize("engine", SCHEDULES)
def test_our_ddpm_is_that_of_diffusers(engine):
    """To 2e-5, the float32 of both."""
    schedule, own, other = SCHEDULES[engine], *(torch.Generator().manual_seed(5) for _ in range(2))
    predict, start = linear_network(schedule), torch.randn(3, 5, 7)
    ours = DDPM(steps=10).sample(
        predict, start, schedule, lambda done: torch.randn(start.shape, generator=own)
    )
    scheduler, latent = theirs(DDPMScheduler, schedule, 10), start
    for step in scheduler.timesteps:
        latent = scheduler.step(predict(latent, int(step)), step, latent, generator=other).prev_sample
    assert ours.abs().max() > 0.3 and (ours - latent).abs().max() < 2e-5


@pytest.mark.parametrize("engine", ["JoyVASA", "Takin-ADA"])
@pytest.mark.parametrize("steps", [1, 5, 10, 50])
def test_euler_is_ddim_by_another_road(engine, steps):
    """Both are Euler's method down the same curve, one in the noisy motion and one in it over sqrt(alpha-bar)."""
    schedule, start = SCHEDULES[engine], torch.randn(3, 5, 7)
    predict = linear_network(schedule)
    one, other = (
        made(steps=steps).sample(predict, start, schedule, no_noise) for made in (DDIM, MAKERS["euler"])
    )
    assert schedule.visits(steps) == from_noisiest(steps, len(schedule.alpha_bars))
    # its latent is as large as 60 000 at first, in float32
    assert (one - other).abs().max() < (1e-2 if steps == 1 else 1e-3)


# ------------------------------------------------------------ a problem whose answer is known

MEAN, SPREAD = 0.4, 0.5  # of the data, a Gaussian


def posterior(schedule: DiffusionSchedule):
    """What a network that has learnt the Gaussian perfectly predicts of a latent at a step."""
    bars = schedule.alpha_bars.double().tolist()

    def predict(latent: torch.Tensor, step: int) -> torch.Tensor:
        bar = bars[step]
        seen = SPREAD**2 * bar**0.5 * latent.double() + (1 - bar) * MEAN
        clean = seen / (bar * SPREAD**2 + 1 - bar)
        found = clean if schedule.predicts == "sample" else (latent - bar**0.5 * clean) / (1 - bar) ** 0.5
        return found.to(latent)

    return predict


def started(schedule: DiffusionSchedule, bar: float, count: int) -> torch.Tensor:
    """Latents as they are at a noise level, exactly."""
    noise = torch.randn(1, 1, count, generator=torch.Generator().manual_seed(3))
    return bar**0.5 * MEAN + (bar * SPREAD**2 + 1 - bar) ** 0.5 * noise


@cache
def errors(engine: str, name: str, steps: int) -> float:
    """Root mean square distance to where the exact flow leads, in spreads of the data."""
    schedule = SCHEDULES[engine]
    own = name in ("ddim", "ddim, eta 1", "ddpm")
    first = (schedule.visits(steps) if own else from_noisiest(steps, len(schedule.alpha_bars)))[0]
    bar = float(schedule.alpha_bars[first])
    start = started(schedule, bar, 4000)
    exact = MEAN + SPREAD * (start - bar**0.5 * MEAN) / (bar * SPREAD**2 + 1 - bar) ** 0.5
    found = MAKERS[name](steps=steps).sample(posterior(schedule), start, schedule, no_noise)
    return float((found - exact).square().mean().sqrt()) / SPREAD


@pytest.mark.parametrize("name", STEADY)
@pytest.mark.parametrize("engine", SCHEDULES)
def test_more_steps_come_nearer_to_the_exact_flow(engine, name):
    found = [errors(engine, name, steps) for steps in (5, 10, 50)]
    assert found == sorted(found, reverse=True) and found[-1] < 0.04, found


@pytest.mark.parametrize("name", ["pndm", "dpm-solver++", "unipc"])
@pytest.mark.parametrize("engine", SCHEDULES)
def test_multistep_samplers_are_nearer_than_ddim_in_as_many_steps(engine, name):
    for steps in (5, 10, 20):
        assert errors(engine, name, steps) < errors(engine, "ddim", steps)
    assert errors(engine, name, 20) < 0.02


@pytest.mark.parametrize("engine", SCHEDULES)
@pytest.mark.parametrize("name", ["ddim, eta 1", "ddpm"])
def test_samplers_of_chance_come_nearer_to_the_mean_and_spread_of_the_data(engine, name):
    schedule, random = SCHEDULES[engine], torch.Generator().manual_seed(4)
    found = []
    for steps in (5, 10, 50):
        start = started(schedule, float(schedule.alpha_bars[schedule.visits(steps)[0]]), 60_000)
        drawn = MAKERS[name](steps=steps).sample(
            posterior(schedule), start, schedule, lambda done: torch.randn(1, 1, 60_000, generator=random)
        )
        assert abs(drawn.mean() - MEAN) < 0.02
        found.append(abs(float(drawn.std()) / SPREAD - 1))
    assert found == sorted(found, reverse=True) and found[-1] < 0.08, found


# ------------------------------------------------------------ every sampler in every engine

WAVE = (
    0.2
    * np.sin(2 * np.pi * 140 * np.arange(10 * 16000) / 16000)
    * np.abs(np.sin(2 * np.pi * 1.7 * np.arange(10 * 16000) / 16000))
)


def spoken(seconds: float) -> Speech:
    return Speech(torch.from_numpy(WAVE[: round(16000 * seconds)].astype(np.float32))[None], 16000)


def kdtalker_with(sampler) -> KDTalkerEngine:
    class AnyWindow(Denoiser):
        def forward(self, noisy, step, reference, canonical, speech):
            return 0.5 * noisy - 0.1 * (reference[:, None] + speech.mean(-1, keepdim=True))

    extractor, denoiser = Extractor(), AnyWindow()
    return KDTalkerEngine(
        lambda: denoiser, remembering_wav2lip, lambda: extractor, STATISTICS, sampler=sampler
    )


def takin_with(sampler) -> TakinEngine:
    return engine_of(*small_takin_networks(), TakinOptions(sampler=sampler))


ENGINES = {
    "KDTalker": kdtalker_with,
    "JoyVASA": lambda sampler: joyvasa(steps=0, sampler=sampler),
    "Takin-ADA": takin_with,
}


def moved(engine, seconds: float = 6.0, seed: int = 3, progress=lambda done, total: None):
    return engine.generate(spoken(seconds), 25, seed, MotionSettings(), progress, somebody())


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_sampler_moves_every_engine_as_the_seed_says(engine, name):
    made = ENGINES[engine](MAKERS[name](steps=4))
    assert all(hasattr(MAKERS[name](), member) for member in members(MotionSampler))
    ticks = []
    first = moved(made, progress=lambda done, total: ticks.append(done / total))
    assert len(first) == 150 and first.source["steps"] == 4 and first.source["sampler"] == name.split(",")[0]
    assert all(torch.isfinite(getattr(first, track)).all() for track in ("expression", "pose", "controls"))
    assert ticks == sorted(ticks) and ticks[-1] == 1 and len(set(ticks)) >= 8
    assert same(moved(made), first, 0) and not same(moved(made, seed=4), first, 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_samplers_differ_and_steps_and_eta_act(engine):
    made = [moved(ENGINES[engine](sampler)) for sampler in (
        DDIM(steps=4), DDIM(steps=5), DDIM(steps=4, eta=0.5), DDPM(steps=4), DiffusersSampler("unipc", 4),
        DiffusersSampler("dpm-solver++", 4), DiffusersSampler("pndm", 4),
    )]  # fmt: skip
    for number, one in enumerate(made):
        for other in made[number + 1 :]:
            assert not same(one, other, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "own"), [("KDTalker", DDIM()), ("JoyVASA", DDPM()), ("Takin-ADA", DDIM())]
)
def test_an_engine_s_own_sampler_on_the_socket_changes_nothing(engine, own):
    assert same(moved(ENGINES[engine](own)), moved(ENGINES[engine](None)), 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_can_be_cancelled_within_a_window(engine):
    class Stop(BaseException):
        pass

    def stop(done, total):
        if done > 0.5 * total:
            raise Stop

    with pytest.raises(Stop):
        moved(ENGINES[engine](DiffusersSampler("unipc", steps=6)), progress=stop)


# ------------------------------------------------------------ Takin-ADA's stream


@pytest.mark.slow
@pytest.mark.parametrize("window", [0, 40])
@pytest.mark.parametrize("name", MAKERS)
def test_takin_s_stream_is_the_whole_and_keeps_what_it_gave(name, window):
    engine = takin_with(MAKERS[name](steps=2, window=window))
    parts = list(engine.stream(spoken(10), 3, MotionSettings()))
    whole, shorter = moved(engine, 10), moved(engine, 9.6)
    assert len(parts) > 1 and same(joined(parts), whole, 0)
    known = int((9.6 - engine.look_ahead) * 25)
    assert known > 50 and torch.equal(shorter.expression[:known], whole.expression[:known])
    assert torch.equal(shorter.pose[:known], whole.pose[:known])


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_a_live_voice_is_the_same_however_it_comes(name):
    engine = takin_with(MAKERS[name](steps=2))
    sound = spoken(4.0)

    def heard(size: int):
        live, parts = LiveMotion(engine, 5, MotionSettings()), []
        for start in range(0, 64_000, size):
            piece = Speech(sound.waveform[:, start : start + size], 16000)
            live = live.branch()  # as the node does
            parts.append(live.push(piece, last=start + size >= 64_000))
        return joined([part for part in parts if part is not None])

    one, other = heard(16_000), heard(6_400)
    assert len(one) == len(other) == 100
    assert torch.equal(one.expression, other.expression) and torch.equal(one.pose, other.pose)


def test_chance_moves_takin_s_head_but_never_its_lips():
    """The lips are drawn without noise, so those of two seeds are the same."""
    from talking_portrait.models.face_motion import CONTROLS

    engine, jaw = takin_with(DDPM(steps=4)), CONTROLS.index("jawOpen")
    one, other = moved(engine, seed=1), moved(engine, seed=2)
    assert torch.equal(one.controls[:, jaw], other.controls[:, jaw]) and not torch.equal(one.pose, other.pose)


def test_a_window_changes_takin_s_latency_and_look_ahead():
    short, long = (takin_with(DDIM(window=window)) for window in (25, 125))
    assert long.look_ahead - short.look_ahead == pytest.approx(4.0)
    wide = takin_with(DDIM(window=50)).begin(0, MotionSettings())
    assert wide.latency - takin_with(DDIM()).begin(0, MotionSettings()).latency == pytest.approx(1.0)


# ------------------------------------------------------------ what is refused


@pytest.mark.parametrize(("engine", "window"), [
    ("KDTalker", 65), ("KDTalker", 15), ("JoyVASA", 50), ("Takin-ADA", 24), ("Takin-ADA", 126),
])  # fmt: skip
def test_a_window_that_a_network_has_not_learnt_is_refused_by_name(engine, window):
    with pytest.raises(ValueError, match=f"^window is {window}, but .*{engine}.*window of the sampler to 0"):
        moved(ENGINES[engine](DDIM(window=window)))


@pytest.mark.parametrize(("engine", "window"), [("KDTalker", 20), ("JoyVASA", 100), ("Takin-ADA", 30)])
def test_a_window_that_it_has_learnt_is_taken(engine, window):
    made, own = (moved(ENGINES[engine](DDIM(steps=3, window=frames))) for frames in (window, 0))
    assert len(made) == 150 and torch.isfinite(made.expression).all()
    assert same(made, own, 1e-6) == (engine == "JoyVASA")  # whose own it is


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("engine", ENGINES)
def test_more_steps_than_were_trained_are_refused(engine, name):
    with pytest.raises(ValueError, match="steps is 1001"):
        moved(ENGINES[engine](MAKERS[name](steps=1001)))


def test_where_diffusers_is_missing_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(
        ValueError, match="sampler is unipc, which comes from diffusers, and that is not installed"
    ):
        DiffusersSampler("unipc")


@pytest.mark.slow
def test_diffusers_is_not_imported_until_one_of_its_samplers_runs():
    script = "import sys, talking_portrait.models.takin.engine as e; assert 'diffusers' not in sys.modules"
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_scheduler_is_named():
    with pytest.raises(ValueError, match="sampler is 'heun'; there are ddim, ddpm, pndm"):
        DiffusersSampler("heun")


def test_the_limit_of_takin_s_motion_holds_in_every_sampler():
    schedule = SCHEDULES["Takin-ADA"]
    for name, make in MAKERS.items():
        drawn = make(steps=6).sample(
            lambda latent, step: torch.full_like(latent, 50.0),
            torch.randn(1, 4, 7),
            schedule,
            lambda done: torch.zeros(1, 4, 7),
        )
        assert (drawn - 6).abs().max() < 0.01, name
    free = replace(schedule, limit=math.inf)
    drawn = DDIM(steps=6).sample(
        lambda latent, step: torch.full_like(latent, 50.0), torch.randn(1, 4, 7), free, no_noise
    )
    assert (drawn - 50).abs().max() < 0.01
