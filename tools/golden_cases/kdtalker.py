"""KDTalker's answers to its golden data: one function per file, every output by name."""

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...models.face_motion import resolve, rotation_matrix
from ...models.face_motion.kalman import smooth
from ...models.kdtalker.checkpoint import audio_encoder_state
from ...models.kdtalker.crop import face_crop, network_input
from ...models.kdtalker.engine import face_motion, motion_vector
from ...models.kdtalker.motion import OBSERVATION, PROCESS, STATISTICS, MotionStatistics, smoothed
from ...models.kdtalker.network import KDTalkerDenoiser, time_embedding
from ...models.kdtalker.sampling import alpha_bars, sample_motion, schedule, timesteps
from ...models.liveportrait.animation import AnimationOptions, Source, driven_keypoints, motion_policy
from ...models.liveportrait.appearance import AppearanceExtractor
from ...models.liveportrait.generator import SpadeGenerator, fold_spectral_norm
from ...models.liveportrait.motion_extractor import MotionExtractor
from ...models.liveportrait.source import face_frame
from ...models.liveportrait.warping import WarpingModule
from ...models.sampling import DDIM
from ...models.speech.wav2lip import AudioEncoder, encode_speech
from ...models.speech.wav2lip_mel import (
    SAMPLES_PER_FRAME,
    frame_total,
    mel_basis,
    mel_spectrogram,
    mel_windows,
    window_start,
)
from .liveportrait import Outputs, capture, formula_picture, loaded

WAVES = {"public": ((180, 720, 2600), 2.5)}
OTHER_WAVES = ((210, 910, 3100), 3.1)


def wave(case: Any, samples: int) -> np.ndarray:
    """The declared waveform at 16 kHz, float32; every salt but "public" has the second set of frequencies."""
    (f0, f1, f2), e = WAVES.get(case.salt, OTHER_WAVES)
    t = np.arange(samples) / 16000
    envelope = 0.5 * (1 - np.cos(2 * np.pi * e * t))
    tone = [
        a * np.sin(2 * np.pi * f * t + p) for a, f, p in ((0.35, f0, 0.0), (0.25, f1, 0.5), (0.15, f2, 1.0))
    ]
    return (envelope * sum(tone)).astype(np.float32)


def encoder(case: Any) -> AudioEncoder:
    return loaded(AudioEncoder(), audio_encoder_state(case.weights("kd_audio_encoder")))


def mel(case: Any) -> Outputs:
    sound = wave(case, case.data["samples"])
    frames = frame_total(len(sound))
    heard = sound[: frames * SAMPLES_PER_FRAME]  # as `encode_speech` cuts it, to whole frames
    windows = mel_windows(heard, 0, frames)
    arrays = {
        "wave": sound, "mel_80xT": mel_spectrogram(heard), "windows_Tx80x16": windows, "window0": windows[0],
        "window_last": windows[-1], "mel_basis": mel_basis(),
    }  # fmt: skip
    counts = {"num_frames": frames, "trimmed_samples": len(heard)}
    lengths = [(n, frame_total(n) * SAMPLES_PER_FRAME, frame_total(n)) for n, _, _ in case.data["lengths"]]
    starts = [window_start(frame) for frame in range(len(case.data["window_start_for_frame"]))]
    tables = {**counts, "lengths": lengths, "window_start_for_frame": starts}
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()} | tables


def audio_encoder(case: Any) -> Outputs:
    network, outputs = encoder(case), {}
    capture(outputs, **{f"layer{i}": layer for i, layer in enumerate(network.audio_encoder)})
    outputs["audio_features"] = network(case.inputs["mel_windows"][0])[None]
    return outputs


def audio_features(case: Any) -> Outputs:
    return {
        "audio_features": encode_speech(encoder(case), wave(case, case.data["samples"]), torch.device("cpu"))
    }


def denoiser(case: Any) -> Outputs:
    outputs: Outputs = {}
    network: Any = loaded(KDTalkerDenoiser(), case.weights("kd_denoiser")).point_model["model"]
    tokens, context = case.inputs["tokens"], case.inputs["context"]
    for output in case.data["outputs"]:
        if output.startswith("eps_t") or output == "eps_short_t321_t7":
            steps = [int(part) for part in output.replace("t", "").split("_") if part.isdigit()]
            short = "short" in output
            given = (
                (case.inputs["tokens_short"], case.inputs["context_short"]) if short else (tokens, context)
            )
            outputs[output] = network(given[0], torch.tensor(steps), given[1])
    steps = torch.tensor([500])
    first, second, attention = network.layers[0]
    inner: Outputs = {}
    capture(inner, layer0_block0=first, layer0_block1=second, layer0_attn=attention)
    network(tokens, steps, context)
    return {
        **outputs, **inner, "time_embedding_t500": network.time_mlp(time_embedding(steps)),
        "rel_pos_bias_66": network.time_rel_pos_bias(66, tokens),
    }  # fmt: skip


def sampler(case: Any) -> Outputs:
    network, given = loaded(KDTalkerDenoiser(), case.weights("kd_denoiser")), case.inputs
    each: list[Tensor] = []

    def run(steps: int, frames: int, see=None) -> Tensor:
        def predict(x: Tensor, t: int) -> Tensor:
            return network(x, t, given["ref"], given["ori_kp"], given["aud"][:, :frames])

        latent = given["noise"][:, :frames]
        return DDIM().sample(predict, latent, schedule(steps), lambda done: latent, see or (lambda x: None))

    outputs = {"ddim5": run(5, 64, each.append), "ddim50": run(50, 64), "ddim5_20_frames": run(5, 20)}
    outputs |= {f"x_after_{i + 1}": latent for i, latent in enumerate(each)}
    outputs |= {"timesteps_50": timesteps(50), "timesteps_5": timesteps(5)}
    return {
        **outputs,
        "betas": torch.linspace(1e-5, 8e-3, 1000),
        "alphas_cumprod": alpha_bars().float(),
    }


def smoothing(case: Any) -> Outputs:
    series = case.inputs["seq_3"].double().cumsum(0).numpy()
    done = torch.from_numpy(smooth(series, PROCESS, OBSERVATION))
    return {"smooth_3": done, "smooth_1": done[:, :1]}


def cropping(case: Any) -> Outputs:
    phase, outputs = case.inputs["phase"].double().numpy(), {}
    for letter, height, width in (("a", 480, 640), ("b", 640, 480)):
        points = np.rint(case.inputs[f"lm68_{letter}"].double().numpy())
        points[36:48, 1] -= 60
        points[48:60, 1] += 60
        points[36:42, 0] -= 50
        points[42:48, 0] += 50
        cut, boxes = face_crop(formula_picture(height, width, phase, 7), points)
        outputs[f"box_{letter}"] = torch.tensor(
            [*boxes["size"], *boxes["outer"], *boxes["inner"]], dtype=torch.float64
        )
        outputs[f"size_{letter}"] = torch.tensor(cut.shape)
        outputs[f"net_{letter}"] = network_input(cut)
    return outputs


GIVEN = ("salt", "fill", "networks", "inputs", "N_samples")
Sampled = tuple[MotionStatistics, Any, Tensor]
known_chains: dict[str, Sampled] = {}


def sampled_chain(case: Any) -> Sampled:
    """Statistics, what the extractor finds, and the motion sampled; once for goldens that declare the same."""
    key = json.dumps([case.data[name] for name in GIVEN])
    if key not in known_chains:
        known_chains.clear()
        known_chains[key] = sample_chain(case)
    return known_chains[key]


def sample_chain(case: Any) -> Sampled:
    """The published chain on the declared picture, sound, noise and statistics, up to the sampled motion."""
    given = case.inputs
    statistics = MotionStatistics({name: given[name] for name in STATISTICS})
    found = loaded(MotionExtractor(), case.weights("lp_motion"))(picture(case))
    speech = encode_speech(encoder(case), wave(case, case.data["N_samples"]), torch.device("cpu"))
    network = loaded(KDTalkerDenoiser(), case.weights("kd_denoiser"))
    reference, canonical = (
        motion_vector(found, statistics),
        statistics.normalise("kp", found.canonical.flatten(1)),
    )
    sampled = sample_motion(
        network, speech, reference, canonical, lambda number: given[f"noise_{number}"], 50
    )
    return statistics, found, sampled


def run_pipeline(case: Any, relative: bool) -> Outputs:
    """The whole published chain up to the driven keypoints."""
    statistics, found, sampled = sampled_chain(case)
    parts = smoothed(statistics.parts(sampled))
    source = Source(found.canonical, face_frame(found), torch.zeros(1, 2), torch.zeros(1, 1))
    motion = face_motion(parts, source.motion, Fraction(25), {})
    if relative:
        motion = replace(motion, scale=parts["scale"][:, 0], reference=None)
        motion = replace(motion, reference=motion.frame(0))
        rules = motion_policy(relative=True)
    else:
        rules = dict.fromkeys(motion.absolute, "absolute")
    resolved = resolve(motion, source.motion, rules)
    return {
        **{f"smoothed_{name}": value for name, value in parts.items()},
        "frames": len(sampled), "norm_motion_70": sampled, "x_s": source.keypoints,
        "R_d": rotation_matrix(motion.pose),
        "x_d": driven_keypoints(source, resolved, AnimationOptions(stitching=False), None),
    }  # fmt: skip


def picture(case: Any) -> Tensor:
    return case.inputs["source_u8"].permute(2, 0, 1)[None].float() / 255


def pipeline(case: Any) -> Outputs:
    outputs = run_pipeline(case, relative=False)
    volume = loaded(AppearanceExtractor(), case.weights("lp_appearance"))(picture(case))
    warp = loaded(WarpingModule(), case.weights("lp_warp"))
    draw = loaded(SpadeGenerator(), fold_spectral_norm(case.weights("lp_spade")))
    features = warp(warp.prepare(volume, outputs["x_s"]), outputs["x_d"][:1])
    return {**outputs, "f_s": volume, "frame0": draw(features)}


def relative_pipeline(case: Any) -> Outputs:
    return run_pipeline(case, relative=True)


CASES: dict[str, Callable[[Any], Outputs]] = {
    "kd_mel": mel, "kd_audio_encoder": audio_encoder, "kd_audio_features": audio_features,
    "kd_denoiser": denoiser,
    "kd_sampler": sampler, "kd_smooth": smoothing, "kd_crop": cropping, "kd_pipeline": pipeline,
    "kd_pipeline_relative": relative_pipeline,
}  # fmt: skip
