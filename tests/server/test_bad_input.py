"""What artists get wrong: each mistake gives a sentence that says what to do, or a right result; never a
broken file."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from talking_portrait.models.face.landmarks import landmarks_in_pixels
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.tools.comfy_server import PromptError
from talking_portrait.training.data.turned_face import turned_face

from .prompts import talking_prompt, video_facts, write_wav

ROOT = Path(__file__).resolve().parent.parent.parent
PHOTO = ROOT / "samples" / "talking_portrait_astronaut.png"
RATE = 16000


def speech(seconds: float, rate: int = RATE) -> np.ndarray:
    """A voice-like sound: a buzz whose vowel and loudness change, so that it is no silence."""
    t = np.arange(int(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
    return 0.2 * buzz / np.abs(buzz).max() * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))


@pytest.fixture
def put(server, tmp_path):
    """put(name, picture or samples[, rate]) -> name in the server's input folder."""

    def store(name: str, content, rate: int = RATE) -> str:
        path = tmp_path / name
        if isinstance(content, Image.Image):
            content.save(path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            write_wav(path, content, rate)
        return server.add_input(path)

    return store


def run(server, image: str, audio: str, **changes) -> dict:
    """Run the chain and return the facts of its video."""
    outputs = server.run(talking_prompt(image, audio, **changes))
    return video_facts(server.output_files(outputs)[0])


@pytest.fixture
def photo(server) -> str:
    return server.add_input(PHOTO)


@pytest.fixture
def voice(put) -> str:
    return put("voice.wav", speech(0.4))


# ---------------------------------------------------------------- pictures


def portrait_on(size: tuple[int, int], face: int, at: tuple[int, int]) -> Image.Image:
    """A grey picture with the photo, `face` pixels wide, pasted at `at`."""
    canvas = Image.new("RGB", size, (128, 130, 132))
    canvas.paste(Image.open(PHOTO).convert("RGB").resize((face, face), Image.LANCZOS), at)
    return canvas


def test_no_face_says_what_to_try(server, put, voice):
    with pytest.raises(PromptError, match="(?i)no face"):
        run(server, put("grey.png", Image.new("RGB", (256, 256), (90, 120, 150))), voice)


def test_one_pixel_has_no_face(server, put, voice):
    with pytest.raises(PromptError, match="(?i)no face"):
        run(server, put("dot.png", Image.new("RGB", (1, 1))), voice)


@pytest.mark.slow
def test_two_faces_the_chosen_one_moves(server, put, voice):
    picture = Image.new("RGB", (1024, 512), (128, 130, 132))
    for x in (0, 512):
        picture.paste(Image.open(PHOTO).convert("RGB"), (x, 0))
    name = put("two.png", picture)
    still = np.asarray(picture, np.float32)
    moved = []
    for index in (0, 1):
        frames = run(server, name, voice, portrait={"face_index": index})["frames"].astype(np.float32)
        change = np.abs(frames - still).max(0).mean(-1)
        moved.append("left" if change[250:330, 180:330].mean() > change[250:330, 692:842].mean() else "right")
    assert sorted(moved) == ["left", "right"]


def test_face_index_out_of_range_says_how_many_there_are(server, photo, voice):
    with pytest.raises(PromptError, match="1 face"):
        run(server, photo, voice, portrait={"face_index": 3})


@pytest.mark.slow
def test_small_face_in_a_big_picture(server, put, voice):
    picture = portrait_on((1280, 720), 200, (700, 300))
    frames = run(server, put("small.png", picture), voice)["frames"]
    assert frames.shape[1:3] == (720, 1280)
    assert np.abs(frames[-1, :, :500].astype(int) - np.asarray(picture)[:, :500]).mean() < 2


def test_alpha_is_no_obstacle(server, put, voice):
    picture = Image.open(PHOTO).convert("RGBA")
    picture.putalpha(200)
    assert run(server, put("alpha.png", picture), voice)["frames"].shape[0] == 10


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((1920, 1080), marks=pytest.mark.slow),
        pytest.param((768, 1344), marks=pytest.mark.slow),
        (511, 513),
    ],
)
def test_sizes_are_kept(server, put, voice, size):
    side = min(size)
    picture = portrait_on(size, side, ((size[0] - side) // 2, (size[1] - side) // 2))
    frames = run(server, put(f"size{size[0]}.png", picture), voice, portrait={"max_size": 0})["frames"]
    assert frames.shape[1:3] == (size[1] + size[1] % 2, size[0] + size[0] % 2)


def test_a_large_picture_is_drawn_at_1280_unless_told_otherwise(server, put, voice):
    frames = run(server, put("large.png", portrait_on((1920, 1080), 1080, (420, 0))), voice)["frames"]
    assert frames.shape[1:3] == (720, 1280)


def test_a_batch_of_pictures_is_refused(server, photo, voice):
    prompt = talking_prompt(photo, voice)
    prompt["batch"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["image", 0], "amount": 3}}
    prompt["portrait"]["inputs"]["image"] = ["batch", 0]
    with pytest.raises(PromptError, match="3 pictures.*takes one"):
        server.run(prompt)


def test_landmarks_of_another_picture_are_refused(server, photo, put, voice):
    prompt = talking_prompt(photo, voice)
    other = put("other.png", portrait_on((640, 640), 600, (20, 20)))
    prompt["other"] = {"class_type": "LoadImage", "inputs": {"image": other}}
    prompt["portrait"]["inputs"]["image"] = ["other", 0]
    with pytest.raises(PromptError, match="512x512.*640x640"):
        server.run(prompt)


# ---------------------------------------------------------------- sound


@pytest.mark.parametrize("samples", [0, int(0.01 * RATE)], ids=["0 samples", "10 ms"])
def test_too_short_audio_says_how_much_is_needed(server, photo, put, samples):
    with pytest.raises(PromptError, match="audio|Audio"):
        run(server, photo, put("short.wav", speech(1)[:samples]))


def test_one_frame_of_audio_gives_one_frame(server, photo, put):
    assert len(run(server, photo, put("frame.wav", speech(0.04)))["frames"]) == 1


@pytest.mark.slow
def test_silence_keeps_the_mouth_still(server, photo, put):
    frames = run(
        server, photo, put("silence.wav", np.zeros(RATE)), motion={"head_amount": 0.0, "blink_rate": 0.0}
    )["frames"]
    assert len(frames) == 25
    assert frames[:, 270:320, 205:300].astype(np.float32).std(0).mean() < 2


def test_clipped_audio_is_used(server, photo, put):
    assert len(run(server, photo, put("clip.wav", 20 * speech(0.4)))["frames"]) == 10


def test_stereo_44100(server, photo, put):
    facts = run(server, photo, put("stereo.wav", np.stack([speech(0.4, 44100)] * 2), 44100))
    assert len(facts["frames"]) == 10 and abs(facts["audio_seconds"] - 0.4) < 0.06


def test_8000_hz(server, photo, put):
    assert len(run(server, photo, put("phone.wav", speech(0.4, 8000), 8000))["frames"]) == 10


def test_nan_samples_are_refused(server, photo, put):
    samples = speech(0.4).astype("<f4")
    samples[100] = np.nan
    data = samples.tobytes()
    form = struct.pack("<HHIIHH", 3, 1, RATE, RATE * 4, 4, 32)
    wav = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + form
    with pytest.raises(PromptError, match="(?i)audio.*(NaN|not numbers)"):
        run(server, photo, put("nan.wav", wav + b"data" + struct.pack("<I", len(data)) + data))


@pytest.mark.slow
@pytest.mark.parametrize(("fps", "frames"), [(23.976, 10), (60.0, 24)])
def test_frame_rates(server, photo, voice, fps, frames):
    facts = run(server, photo, voice, motion={"fps": fps})
    assert len(facts["frames"]) == frames == round(0.4 * fps)
    assert abs(float(facts["fps"]) - fps) < 0.01


def test_fps_0_is_refused(server, photo, voice):
    with pytest.raises(PromptError, match="fps is 0"):
        run(server, photo, voice, motion={"fps": 0.0})


def test_other_audio_in_the_video_is_refused_with_both_numbers(server, photo, voice, put):
    prompt = talking_prompt(photo, voice)
    prompt["other"] = {"class_type": "LoadAudio", "inputs": {"audio": put("long.wav", speech(2))}}
    prompt["video"]["inputs"] |= {"audio": ["other", 0], "sound_length": "must be equal"}
    with pytest.raises(PromptError, match=r"2\.00 s.*10 frames"):
        server.run(prompt)


def test_a_failed_run_leaves_no_video_behind(server, photo, voice):
    folder = server.base / "temp" / "talking_portrait"
    before = set(folder.rglob("*")) if folder.exists() else set()
    with pytest.raises(PromptError):
        run(server, photo, voice, motion={"fps": 0.0})
    assert (set(folder.rglob("*")) if folder.exists() else set()) == before


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [50, 80])
def test_a_side_face_speaks_or_is_refused(server, put, voice, degrees):
    picture = Image.open(PHOTO).convert("RGB")
    with torch.no_grad():
        (face,) = load_face_detector().detect_batch([np.asarray(picture)], 1, 0.3, "short")[0]
    name = put(f"side_{degrees}.png", turned_face(picture, landmarks_in_pixels(face), degrees))
    if degrees == 80:
        with pytest.raises(PromptError, match="turned too far aside"):
            server.run(talking_prompt(name, voice))
        return
    frames = run(server, name, voice)["frames"].astype(np.float32)
    moved = frames.std(0).mean(-1)
    assert moved[290:420, 190:330].mean() > 5 * moved[:60, :60].mean() + 0.2, (
        "the mouth of the side face does not move"
    )
