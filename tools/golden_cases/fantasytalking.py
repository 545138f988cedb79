"""FantasyTalking's answers to its golden data, through a tiny core Wan model."""

from collections.abc import Callable
from typing import Any

import comfy.model_patcher
import comfy.ops
import comfy.sampler_helpers
import comfy.samplers
import comfy.supported_models
import torch
from comfy.conds import CONDRegular
from torch import Tensor

from ...models.fantasytalking.attention import OPTION, AudioContext
from ...models.fantasytalking.carrier import CONDITION
from ...models.fantasytalking.guidance import audio_guidance, sigmas
from ...models.fantasytalking.keys import KeptKeys, numbered, tables_of
from ...models.fantasytalking.network import AudioProjection, FantasyTalking
from ...models.fantasytalking.patch import patched
from ...models.fantasytalking.picture import final_size, scaled_size
from ...models.fantasytalking.timing import latent_frames, official_frames, samples_of, token_count
from ...models.fantasytalking.windows import audio_windows
from ...models.speech.wav2vec2 import normalised

CPU = torch.device("cpu")


def timing(case: Any) -> dict:
    frames = []
    for row in case.data["frames"]:
        count = official_frames(row["duration"], row["max_num_frames"], case.data["fps"])
        end, samples = samples_of(count, case.data["fps"]), row["audio_samples"]
        used = min(end, samples)
        frames.append({
            **{key: row[key] for key in ("duration", "max_num_frames", "audio_samples")}, "num_frames": count,
            "end_sample": end, "used_samples": used, "audio_tokens": token_count(used),
            "latent_frames": latent_frames(count),
        })  # fmt: skip
    sizes = []
    for row in case.data["sizes"]:
        width, height = row["image"]
        first = scaled_size(width, height, row["image_size"])
        sizes.append(
            {
                "image": row["image"],
                "image_size": row["image_size"],
                "lanczos": first,
                "final": final_size(*first),
            }
        )
    return {"frames": frames, "sizes": sizes}


def windows(case: Any) -> dict:
    rows = []
    for row in case.data["rows"]:
        found = audio_windows(row["num_frames"], row["audio_tokens"], row["expand"])
        rows.append({
            "num_frames": row["num_frames"], "audio_tokens": row["audio_tokens"], "ranges": found.ranges,
            "expand": row["expand"],
            "width": found.width, "lens": found.lengths, "token_index": found.token_index(),
        })  # fmt: skip
    return {"rows": rows}


def schedule(case: Any) -> dict:
    result = {}
    for name in case.data["outputs"]:
        steps, shift = (float("".join(c for c in part if c.isdigit())) for part in name.split("_"))
        values = sigmas(int(steps), shift)
        result[name] = {"sigmas": values, "timesteps": 1000 * values[:-1]}
    return result


def projection(case: Any) -> dict:
    config = case.data["config"]
    network = AudioProjection(config["audio_in_dim"], config["audio_proj_dim"])
    load(case, network, "proj_model.")
    projected = network(case.inputs["wav2vec"])
    found = audio_windows(config["num_frames"], projected.shape[1])
    return {"proj": projected, "split": found.split(projected), "lens": found.lengths}


def wav2vec(case: Any) -> dict:
    from ...models.speech.wav2vec2 import encode_float32, load_base_encoder

    manifest = case.manifest("wav2vec2_base_960h")
    state = {key: case.fill.tensor(key, shape, case.salt) for key, shape in manifest["keys"].items()}
    for key in state:
        if key.endswith("weight_g"):
            state[key] = 0.5 + 4 * state[key].abs()
    encoder, wave = load_base_encoder(state), case.inputs["wave"]
    prepared = normalised(wave[0].numpy())
    return {
        "normalised": prepared, "last_hidden_state": encode_float32(encoder, prepared),
        "last_hidden_state_without_normalisation": encode_float32(encoder, wave),
    }  # fmt: skip


def load(
    case: Any, network: torch.nn.Module, prefix: str = "", rename: Callable[[str], str] = str
) -> torch.nn.Module:
    """Fill a network's weights by the names of the published file."""
    state = network.state_dict()
    network.load_state_dict(
        {key: case.fill.tensor(prefix + rename(key), value.shape, case.salt) for key, value in state.items()}
    )
    return network.eval()


class TinyWan:
    """A core Wan2.1 image-to-video MODEL of the golden's size with FantasyTalking's adapter."""

    def __init__(self, case: Any):
        config = case.data["config"]
        unet = {**config["model"], "image_model": "wan2.1"}
        unet["patch_size"], unet["window_size"] = tuple(unet["patch_size"]), tuple(unet["window_size"])
        settings = comfy.supported_models.WAN21_I2V(unet)
        settings.set_inference_dtype(torch.float32, None)
        model = settings.get_model({}, "", device=CPU)
        load(case, model.diffusion_model)
        model.extra_conds = lambda **_: {}  # the golden gives every condition itself
        self.patcher = comfy.model_patcher.ModelPatcher(model, CPU, CPU)
        heads = FantasyTalking(
            config["audio_in_dim"], config["audio_proj_dim"], unet["dim"], unet["num_layers"]
        )
        load(case, heads, "", self.published_name)
        self.adapter = comfy.model_patcher.ModelPatcher(heads, CPU, CPU)
        self.tokens = self.window_tokens(case, case.inputs["audio"])

    @staticmethod
    def published_name(key: str) -> str:
        if key.startswith("proj_model."):
            return key
        _, number, layer, leaf = key.split(".")
        return f"audio_processor.blocks.{number}.cross_attn.processor.{layer}.{leaf}"

    def window_tokens(self, case: Any, vectors: Tensor) -> Tensor:
        projected = self.adapter.model.proj_model(vectors)
        return audio_windows(case.data["config"]["num_frames"], projected.shape[1]).split(projected)

    def run(self, scale: float, masked: bool, call: Callable[[torch.nn.Module], Any]) -> Any:
        """`call` with the patched diffusion model in place, then everything taken back."""
        clone = patched(self.patcher, self.adapter, scale, masked)
        clone.patch_model(CPU)
        try:
            return call(clone)
        finally:
            clone.unpatch_model(CPU)


def changed_frame_two(tokens: Tensor) -> Tensor:
    """The golden's change: 1 is added to the tokens of latent frame 2, not to the padding."""
    held = tokens.ne(0).any(-1, keepdim=True)
    held[:, [i for i in range(tokens.shape[1]) if i != 2]] = False
    return tokens + held


def cross_attention(case: Any) -> dict:
    tiny = TinyWan(case)
    x, context = case.inputs["xa"], case.inputs["ctx"]
    block = int(case.data["config"]["module"].split(".")[1])

    def attend(scale: float, masked: bool, tokens: Tensor = tiny.tokens) -> Tensor:
        def call(clone):
            distinct, (numbers,) = numbered([tokens])
            keys = KeptKeys(tables_of(tiny.adapter.model.blocks, distinct, CPU))
            audio = AudioContext(numbers, keys, scale, masked)
            options = {OPTION: audio, "grid_sizes": (tokens.shape[1], 4, 4)}
            attention = clone.model.diffusion_model.blocks[block].cross_attn
            return attention(x, context, context_img_len=257, transformer_options=options)

        return tiny.run(scale, masked, call)

    outputs = {f"scale{scale}": attend(float(scale), True) for scale in (0, 1, 2)}
    outputs |= {f"scale{scale}_unmasked": attend(float(scale), False) for scale in (0, 1, 2)}
    changed = attend(1.0, True, changed_frame_two(tiny.tokens))
    per_frame = (changed - outputs["scale1"]).abs().reshape(3, -1).amax(1)
    return {
        **outputs,
        "tokens": tiny.tokens,
        "frame2_changed": changed,
        "frame2_changed_absdiff_per_frame": per_frame,
    }


def transformer(case: Any) -> dict:
    tiny, given = TinyWan(case), case.inputs
    steps = torch.tensor([case.data["config"]["timestep"]])

    def forward(scale: float, masked: bool = True) -> Tensor:
        def call(clone):
            return clone.model.diffusion_model(
                torch.cat([given["x"], given["y"]], 1), steps, context=given["context"],
                clip_fea=given["clip"],
                transformer_options=clone.model_options["transformer_options"] | {"wrappers": clone.wrappers},
                **{CONDITION: tiny.tokens},
            )  # fmt: skip

        return tiny.run(scale, masked, call)

    outputs = {f"scale{scale}": forward(float(scale)) for scale in (0, 1, 2)}
    return {
        **outputs, "scale1_unmasked": forward(1.0, False),
        "audio_effect_std": (outputs["scale1"] - outputs["scale0"]).std(),
    }  # fmt: skip


def pipeline(case: Any) -> dict:
    tiny, given, config = TinyWan(case), case.inputs, case.data["config"]
    outputs: dict[str, Any] = {}
    for name in config["cases"]:
        prompt, audio, scale = scales_of(name)
        clone = patched(tiny.patcher, tiny.adapter, scale, True)
        if audio is not None:
            clone.set_model_sampler_pre_cfg_function(audio_guidance(audio))

        def condition(context: Tensor, heard: bool) -> list:
            values = {"c_concat": given["y"], "c_crossattn": context, "clip_fea": given["clip"]}
            values |= {CONDITION: tiny.tokens} if heard else {}
            return [[context, {"model_conds": {key: CONDRegular(value) for key, value in values.items()}}]]

        passes = PassCounter()
        clone.add_wrapper_with_key("diffusion_model", "count", passes)
        guider = comfy.samplers.CFGGuider(clone)
        guider.set_conds(condition(given["context"], True), condition(given["context_neg"], audio is None))
        guider.set_cfg(prompt)
        result = guider.sample(
            given["noise"], torch.zeros_like(given["noise"]), comfy.samplers.sampler_object("euler"),
            sigmas(config["steps"], config["shift"]), disable_pbar=True,
        )  # fmt: skip
        outputs[name] = tiny.patcher.model.process_latent_in(result)
        outputs[f"{name}_forward_passes"] = passes.count
    return outputs


class PassCounter:
    """Counts the pictures that go through the diffusion model."""

    count = 0

    def __call__(self, executor, x, *arguments, **named):
        self.count += len(x)
        return executor(x, *arguments, **named)


def scales_of(name: str) -> tuple[float, float | None, float]:
    """Prompt scale, audio guidance (None: plain) and audio scale of a case's name, such as p5_a3_scale1.3."""
    parts = name.split("_")
    audio = None if parts[1] == "noaudiocfg" else float(parts[1][1:])
    return float(parts[0][1:]), audio, float(parts[2].removeprefix("scale")) if len(parts) > 2 else 1.0


CASES: dict[str, Callable[[Any], dict]] = {
    "ft_timing": timing, "ft_windows": windows, "ft_sigmas": schedule, "ft_audio_proj": projection,
    "ft_wav2vec2": wav2vec,
    "ft_cross_attn": cross_attention, "ft_dit": transformer, "ft_cfg": pipeline,
}  # fmt: skip
