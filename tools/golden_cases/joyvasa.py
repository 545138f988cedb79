"""JoyVASA's answers to its golden data: one function per file, every output by name."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...models.face_motion import FaceFrame, resolve, rotation_matrix
from ...models.joyvasa.audio_encoder import hubert_config, padded_window
from ...models.joyvasa.checkpoint import generator_state, joyvasa_state
from ...models.joyvasa.config import JoyVASAConfig
from ...models.joyvasa.features import published_frames, sound_windows
from ...models.joyvasa.hearing import heard
from ...models.joyvasa.motion import PUBLISHED_RULES, STATISTICS, MotionTemplate, face_motion, smooth_head
from ...models.joyvasa.network import JoyVASA
from ...models.joyvasa.sampling import alpha_bars, cosine_betas, sample_windows
from ...models.liveportrait.animation import Source
from ...models.speech.hubert import build_hubert
from .kdtalker import wave
from .liveportrait import Outputs, capture, loaded

CPU = torch.device("cpu")


def generator(case: Any) -> JoyVASA:
    """The network without its audio encoder."""
    state = generator_state({"model": case.weights("joyvasa")})
    return loaded(JoyVASA(JoyVASAConfig.from_state(state), None), state)


def whole(case: Any) -> JoyVASA:
    state = joyvasa_state({"model": case.weights("joyvasa") | case.weights("joyvasa_hubert")})
    return loaded(JoyVASA(JoyVASAConfig.from_state(state), build_hubert(hubert_config(state))), state)


def denoiser(case: Any) -> Outputs:
    network, given, outputs = generator(case), case.inputs, {}
    before = given["prev_motion"], given["prev_audio"]

    def run(*steps: int, motion="motion", speech=given["audio"], context=before) -> Tensor:
        return network(given[motion], speech, context, torch.tensor(steps))

    for name in case.data["outputs"]:
        step = name.removeprefix("x0_t")
        if step.isdigit():
            outputs[name] = run(int(step))
    outputs["x0_b2_t3_t40"] = run(3, 40, motion="motion_b2", speech=given["audio_b2"])
    outputs["x0_t25_start_tokens"] = run(25, context=network.start(given["motion"]))
    outputs["x0_t25_null_audio"] = run(25, speech=network.silence(given["audio"]))
    parts: Outputs = {}
    inner: Any = network.denoising_net
    capture(parts, layer0_t25=inner.transformer["layers"][0], layer7_t25=inner.transformer["layers"][7])
    run(25)
    steps = torch.tensor([25])
    tokens = inner.tokens(torch.cat([given["prev_motion"], given["motion"]], 1), steps)
    return {
        **outputs,
        **parts,
        "tokens_t25": tokens,
        "step_embedding_t25": inner.step_embedding(steps, tokens),
    }


def declared_noise(case: Any, steps: int) -> Callable[[int, int], Tensor]:
    return lambda window, step: case.inputs[f"n{steps}_w{window}_z{step}"]


def sampler(case: Any) -> Outputs:
    network, given, outputs = generator(case), case.inputs, {}
    speech = [given["audio_w0"], given["audio_w1"]]
    for steps in (5, 50):
        betas = cosine_betas(steps)
        bars = alpha_bars(betas)
        posterior = torch.cat([torch.zeros(1), (1 - bars[:-1]) / (1 - bars[1:]) * betas[1:]]).sqrt()
        outputs |= {f"n{steps}_betas": betas, f"n{steps}_alphas": 1 - betas, f"n{steps}_alpha_bars": bars,
                    f"n{steps}_sigmas_flex": betas.sqrt(), f"n{steps}_sigmas_inflex": posterior}  # fmt: skip

        seen, noise = {}, declared_noise(case, steps)

        def see(window: int, step: int, latent: Tensor, steps=steps, seen=seen) -> None:
            seen[f"n{steps}_w{window}" + (f"_x{step}" if step else "")] = latent

        list(sample_windows(network, speech, given["noise_T"], noise, 0, 2.0, see, betas))
        outputs |= seen
        (outputs[f"n{steps}_cfg1_w0"],) = sample_windows(
            network, speech[:1], given["noise_T"], noise, 0, 1.0, betas=betas
        )
    return outputs


def audio(case: Any) -> Outputs:
    network, outputs = whole(case), {}
    hubert: Any = network.audio_encoder
    sound = torch.from_numpy(wave(case, case.data["N_samples"]))[None]
    capture(outputs, conv_features=hubert.feature_extractor, projected=hubert.feature_projection,
            pos_conv=hubert.encoder.pos_conv_embed, layer0=hubert.encoder.layers[0],
            hidden=hubert)  # fmt: skip
    outputs["audio_feature"] = network.encode(sound)
    hidden = outputs.pop("hidden").last_hidden_state
    outputs["layer0"] = outputs["layer0"][0] if isinstance(outputs["layer0"], tuple) else outputs["layer0"]
    return {
        **outputs,
        "padded_wave": padded_window(sound),
        "hidden_200": hidden,
        "hidden_100": network.halved(hidden),
    }


def declared_template(case: Any) -> MotionTemplate:
    return MotionTemplate({name: case.inputs[name] for name in STATISTICS})


def declared_source(case: Any) -> Source:
    given = {name: case.inputs[f"src_{name}"] for name in ("kp", "exp", "scale", "t", "pitch", "yaw", "roll")}
    pose = torch.cat([given[name][0] for name in ("pitch", "yaw", "roll")])
    own = FaceFrame(given["exp"][0], pose, given["t"][0], float(given["scale"]))
    return Source(given["kp"], own, torch.zeros(1, 2), torch.zeros(1, 1))


def driven(parts: dict[str, Tensor], source: Source, region: str) -> Tensor:
    """Keypoints before stitching, as the published script renders a region."""
    return source.driven(resolve(face_motion(parts, {}), source.motion, PUBLISHED_RULES[region]))


def series(parts: dict[str, Tensor], prefix: str = "") -> Outputs:
    pose = torch.cat([parts["pitch"], parts["yaw"], parts["roll"]], 1)
    named = {**parts, "exp": parts["exp"].unflatten(1, (21, 3)), "R": rotation_matrix(pose)}
    return {prefix + name: value for name, value in named.items()}


def template(case: Any) -> Outputs:
    source, raw = (
        declared_source(case),
        declared_template(case).parts(case.inputs["motion_norm"][0, : case.data["n_frames"]]),
    )
    slow, same = smooth_head(raw, 0.99), smooth_head(raw, 0.0)
    own = source.motion.pose
    return {
        **series(raw, "raw_"), **series(slow, "ema001_"), **series(same, "ema1_"),
        "R_s": rotation_matrix(own)[None],
        **{f"x_d_raw_{region}": driven(raw, source, region) for region in PUBLISHED_RULES},
        "x_d_ema001_all": driven(slow, source, "all"),
    }  # fmt: skip


def pipeline(case: Any) -> Outputs:
    """The published chain from the waveform to the driven keypoints."""
    network, sound, outputs = whole(case), wave(case, case.data["N_samples"]), {}
    features = list(heard(network, sound, CPU))
    windows = list(sample_windows(network, features, case.inputs["noise_T"], declared_noise(case, 5), 0, 2.0,
                                  betas=cosine_betas(5)))  # fmt: skip
    for number, window in enumerate(sound_windows(sound, network.config.window)):
        outputs |= {f"audio_window{number}": window, f"audio_feature_w{number}": features[number],
                    f"motion_w{number}": windows[number]}  # fmt: skip
    parts = declared_template(case).parts(torch.cat(windows, 1)[0, : published_frames(len(sound))])
    lengths = [(samples, published_frames(samples)) for samples, _ in case.data["frames_per_n_samples"]]
    keypoints = driven(parts, declared_source(case), "all")
    return {**outputs, **series(parts), "x_d": keypoints, "frames_per_n_samples": lengths}


CASES: dict[str, Callable[[Any], Outputs]] = {
    "jv_denoiser": denoiser, "jv_sampler": sampler, "jv_audio": audio, "jv_template": template,
    "jv_pipeline": pipeline,
}  # fmt: skip
