"""Score a Takin-ADA network of this pack on speech that it never heard, against goals that were set before.

    python3 run.py python -m talking_portrait.training.takin.evaluate \\
        WEIGHTS.safetensors RESULT.json [--set test] [--films 4] [--seed 77]

The truth is the motion that rules give to known phone times (training/takin/rules.py), so this says whether
lips follow sound and whether controls work, not how real a face looks. `--set development` scores voices of
the training, for choosing settings; the test set is meant to be scored once. Needs espeak-ng, and festival
(test) or flite (development), as installed tools.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...models.engine import MotionSettings
from ...models.speech.feature_stream import FeatureStream
from ...models.speech.listening import Listener
from ...models.takin.config import ANGLES, EMOTIONS, EXPRESSION, FPS, POSE
from ...models.takin.ear_hearing import EarHearing
from ...models.takin.emotion import emotion_faces, emotion_label
from ...models.takin.features import SpeechLayers
from ...models.takin.generator import LIVE, Feeling, MotionGenerator, Sampling, pose_command
from ...models.takin.live import LiveTakin
from ...models.takin.network import TakinNet
from ...models.takin.sampling import Guidance
from .films import Film, make_films
from .hearing import Hearing, hearing_of
from .measures import at_middles, auc, best_lag, control, correlation, count_blinks, step_sizes
from .shipped import load

INTENSITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
SEEDS = 4
SILENCE_DB = MotionSettings().silence_threshold
CUT = 2777  # samples of a push in the comparison of a stream with the whole
YAW = 15.0  # degrees of the commanded turn, 15 sin 2t
OPEN_VOWELS = ("AA", "OH")

# name -> (goal, whether the measure must be above it or below it), fixed before scoring
GOALS: dict[str, tuple[float, str]] = {
    "jaw_r": (0.88, "above"), "jaw_r_steady": (0.88, "above"), "round_r": (0.5, "above"),
    "wide_r": (0.5, "above"),
    "jaw_r_other_clip": (0.2, "below"), "jaw_r_without_audio": (0.2, "below"),
    "worst_lag_frames": (1.0, "at most"),
    "pbm_auc": (0.985, "above"), "mouth_error": (1.0, "below"), "emotion_accuracy": (0.9, "above"),
    "smallest_intensity_step": (0.0, "above"), "seam_jump": (1.2, "at most"),
    "live_seam_jump": (1.2, "at most"),
    "yaw_error_degrees": (3.0, "below"), "yaw_spread_degrees": (0.5, "above"),
    "blinks_per_minute": (8.0, "above"),
    "chunked_minus_offline": (1e-3, "below"), "milliseconds_per_frame": (40.0, "below"),
}  # fmt: skip


@dataclass(frozen=True)
class Study:
    """A network, the films it is scored on, and how motion is drawn."""

    network: TakinNet
    hearing: Hearing
    films: list[Film]
    sampling: Sampling

    def draw(
        self, film: Film, sampling: Sampling | None = None, label: Tensor | None = None,
        exemplar: Tensor | None = None,
        command: Callable[[int, int], Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        """Motion [takes,N,70] in units of a whole film."""
        neutral = emotion_label({"neutral": 1.0}, 1.0)
        feeling = Feeling(neutral if label is None else label, exemplar)
        generator = MotionGenerator(self.network, sampling or self.sampling, feeling, command)
        motion = torch.cat([generator.push(film.speech), generator.finish()], 1)
        return motion[:, : len(film.truth)]

    def lips(self) -> dict[str, Any]:
        """Do the lips follow the sound, for a drawn motion and for the likeliest one (which the engine shows)?"""
        rows, per_voice = [], {}
        jaws: dict[str, list[np.ndarray]] = {"shut": [], "open": [], "shut_steady": [], "open_steady": []}
        sampling = replace(self.sampling, temperatures=(1.0, 0.0))
        deaf = replace(self.sampling, guidance=Guidance(0.0, 0.0))
        for number, film in enumerate(self.films):
            drawn, steady = self.draw(film, sampling)
            nothing = self.draw(film, deaf)[0]
            other = self.films[number - 1].truth
            jaw, truth = control(drawn, "jawOpen"), control(film.truth, "jawOpen")
            error = (drawn - film.truth)[:, :EXPRESSION].unflatten(1, (21, 3))[:, [6, 12, 14, 17, 19, 20]]
            moved = film.truth[:, :EXPRESSION].unflatten(1, (21, 3))[:, [6, 12, 14, 17, 19, 20]]
            rows.append({
                "jaw_r": correlation(jaw, truth),
                "jaw_r_steady": correlation(control(steady, "jawOpen"), truth),
                "round_r": correlation(control(drawn, "mouthPucker"), control(film.truth, "mouthPucker")),
                "wide_r": correlation(control(drawn, "mouthStretch"), control(film.truth, "mouthStretch")),
                "close_r": correlation(control(drawn, "mouthClose"), control(film.truth, "mouthClose")),
                "jaw_r_other_clip": correlation(jaw, control(other, "jawOpen")),
                "jaw_r_without_audio": correlation(control(nothing, "jawOpen"), truth),
                "lag": best_lag(jaw, truth),
                "mouth_error": float(error.square().mean() / moved.var(0).mean()),
                "jaw_deviation": float(jaw.std() / truth.std()),
            })  # fmt: skip
            per_voice.setdefault(film.voice, []).append(rows[-1])
            for kind, track in (("", jaw), ("_steady", control(steady, "jawOpen"))):
                jaws["shut" + kind].append(at_middles(track, film, ("PP",)))
                jaws["open" + kind].append(at_middles(track, film, OPEN_VOWELS))
        lags = [abs(row.pop("lag")) for row in rows]
        found: dict[str, Any] = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        found |= {"worst_lag_frames": max(lags), "mean_lag_frames": float(np.mean(lags))}
        found |= {"jaw_r_worst_film": min(row["jaw_r"] for row in rows)}
        all_of = {name: np.concatenate(tracks) for name, tracks in jaws.items()}
        found |= {"pbm_auc": auc(all_of["shut"], all_of["open"]), "pbm_sounds": len(all_of["shut"]),
                  "pbm_auc_steady": auc(all_of["shut_steady"], all_of["open_steady"]),
                  "pbm_median_jaw": float(np.median(all_of["shut"])),
                  "vowel_median_jaw": float(np.median(all_of["open"]))}  # fmt: skip
        kinds = ("jaw_r", "jaw_r_steady", "round_r", "wide_r")
        voices = {
            v: {name: float(np.mean([row[name] for row in own])) for name in kinds}
            for v, own in per_voice.items()
        }
        return found | {"voices": voices}

    def settings(self, films: int = 3) -> dict[str, float]:
        """Jaw r with other numbers of steps and other guidance, on a few films."""
        variants = {f"steps_{n}": replace(self.sampling, steps=n) for n in (2, 5, 10, 20)}
        variants |= {
            f"speech_guidance_{s:g}": replace(self.sampling, guidance=Guidance(s, 1.0)) for s in (1.0, 2.0)
        }
        return {
            name: float(np.mean([
                correlation(control(self.draw(film, how)[0], "jawOpen"), control(film.truth, "jawOpen"))
                for film in self.films[:: max(1, len(self.films) // films)]
            ]))
            for name, how in variants.items()
        }  # fmt: skip

    def emotions(self) -> dict:
        """Which of the eight faces is nearest to what a label, or an example, gave."""
        faces, _ = emotion_faces()
        confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)), int)
        exemplars = 0
        for number, film in enumerate(self.films):
            for index, name in enumerate(EMOTIONS):
                confusion[
                    index, self._nearest(self.draw(film, label=emotion_label({name: 1.0}, 1.0)), film, faces)
                ] += 1
                if number % 3 == 0:
                    by_example = self.draw(
                        film, label=torch.zeros(len(EMOTIONS)), exemplar=self._example(film, faces[index])
                    )
                    exemplars += self._nearest(by_example, film, faces) == index
        shown = len(EMOTIONS) * len(self.films[::3])
        return {
            "emotion_accuracy": float(np.trace(confusion) / confusion.sum()),
            "emotion_films": int(confusion.sum()),
            "emotion_accuracy_by_example": exemplars / shown,
            "emotion_confusion": {
                name: dict(zip(EMOTIONS, row.tolist(), strict=True)) for name,
                row in zip(EMOTIONS, confusion, strict=True)
            },
        }  # fmt: skip

    @staticmethod
    def _nearest(drawn: Tensor, film: Film, faces: Tensor) -> int:
        change = (drawn[0] - film.truth)[:, :EXPRESSION].mean(0)
        return int((faces - change).norm(dim=1).argmin())

    @staticmethod
    def _example(film: Film, face: Tensor) -> Tensor:
        return film.truth[:, :EXPRESSION].mean(0) + face

    def intensity(self) -> dict:
        """How much of each emotion's face is shown at each intensity: 1 is all of it."""
        faces, _ = emotion_faces()
        shown: dict[str, list[float]] = {}
        film = self.films[0]
        for name, face in zip(EMOTIONS, faces, strict=True):
            if name == "neutral":
                continue
            drawn = [
                self.draw(film, label=emotion_label({name: 1.0}, x))[0, :, :EXPRESSION].mean(0)
                for x in INTENSITIES
            ]
            base = film.truth[:, :EXPRESSION].mean(0)
            shown[name] = [round(float((found - base) @ face / face.square().sum()), 3) for found in drawn]
        return {"intensity_response": shown, "intensities": INTENSITIES,
                "smallest_intensity_step": float(min(np.diff(row).min() for row in shown.values()))}  # fmt: skip

    def seams(self, sampling: Sampling) -> float:
        """Largest step near a seam over the largest in as many frames without one, mean over seams: 1 is not
        to be seen.

        What is usual is taken from long windows, away from their seams, so that short windows are measured
        against the same.
        """
        stride, run, ratios = sampling.window - sampling.overlap, sampling.overlap + 1, []
        long = self.sampling.window - self.sampling.overlap
        for film in self.films:
            calm = step_sizes(self.network, self.draw(film)[0])
            seams = range(long - 1, len(calm), long)
            free = [
                k
                for k in range(len(calm) - run)
                if all(k + run <= s or k > s + self.sampling.overlap for s in seams)
            ]
            usual = np.mean([calm[k : k + run].max() for k in free])
            speed = step_sizes(self.network, self.draw(film, sampling)[0])
            ratios += [
                speed[k - 1 : k - 1 + run].max() / usual for k in range(stride, len(speed) - run, stride)
            ]
        return float(np.mean(ratios))

    def commanded_yaw(self) -> dict[str, float]:
        """How far a commanded turn is from the drawn one, beside what is drawn without a command."""
        errors, free = [], []
        for film in self.films:
            count = len(film.truth)
            wanted = YAW * torch.sin(2 * torch.arange(count) / FPS)
            pose = torch.tensor([1.0, 0, 0, 0, 0, 0, 0]).repeat(count, 1)
            pose[:, 5] = wanted
            mask = torch.zeros(POSE)
            mask[5] = 1
            padded = torch.cat([pose, pose[-1:].repeat(self.sampling.window, 1)])
            told = pose_command(self.network, padded, mask)
            drawn = self.draw(film, command=lambda start, stop, told=told: told[None, start:stop])[0]
            errors.append((drawn[:, ANGLES][:, 1] - wanted).abs().mean())
            free.append((self.draw(film)[0][:, ANGLES][:, 1] - wanted).abs().mean())
        return {
            "yaw_error_degrees": float(np.mean(errors)),
            "yaw_error_without_command_degrees": float(np.mean(free)),
        }

    def diversity(self) -> dict[str, float]:
        """Spread over seeds, and blinks; the truth's own numbers beside them."""
        yaw, jaw, blinks, truth_blinks, seconds, yaw_moves, true_moves = [], [], 0, 0, 0.0, [], []
        for film in self.films:
            drawn = self.draw(film, replace(self.sampling, temperatures=(1.0,)))
            takes = [drawn[0]] + [
                self.draw(film, replace(self.sampling, seed=seed))[0] for seed in range(1, SEEDS)
            ]
            yaw.append(torch.stack([take[:, ANGLES][:, 1] for take in takes]).std(0).mean())
            jaw.append(np.stack([control(take, "jawOpen") for take in takes]).std(0).mean())
            blinks += sum(count_blinks(control(take, "eyeBlinkLeft")) for take in takes)
            truth_blinks += count_blinks(control(film.truth, "eyeBlinkLeft"))
            seconds += len(film.truth) / FPS
            yaw_moves.append(np.mean([take[:, ANGLES][:, 1].std() for take in takes]))
            true_moves.append(film.truth[:, ANGLES][:, 1].std())
        return {
            "yaw_spread_degrees": float(np.mean(yaw)), "jaw_spread": float(np.mean(jaw)),
            "blinks_per_minute": 60 * blinks / seconds / SEEDS,
            "true_blinks_per_minute": 60 * truth_blinks / seconds,
            "yaw_deviation_degrees": float(np.mean(yaw_moves)),
            "true_yaw_deviation_degrees": float(np.mean(true_moves)),
        }  # fmt: skip

    def streaming(self) -> dict[str, float]:
        """The stream against the whole clip, and what a live stream costs in lips and time."""
        worst, live_r, blind_r, latency = 0.0, [], [], 0.0
        neutral = Feeling(emotion_label({"neutral": 1.0}, 1.0))
        for film in self.films[::3]:
            whole = self.draw(film)[0]
            chunked = MotionGenerator(self.network, self.sampling, neutral)
            pieces = film.speech.layers.split(7, 1)
            parts = [chunked.push(SpeechLayers(piece, film.speech.encoder)) for piece in pieces]
            found = torch.cat([*parts, chunked.finish()], 1)[0, : len(whole)]
            worst = max(
                worst, float(self.network.normalised(found - whole + self.network.motion_mean).abs().max())
            )
            truth = control(film.truth, "jawOpen")
            for mean, scores in ((film.mean, live_r), (None, blind_r)):
                generator = MotionGenerator(self.network, replace(LIVE, steps=self.sampling.steps), neutral)
                hear, features = self.hearing.live(), FeatureStream()
                live, parts = LiveTakin(Listener(SILENCE_DB, mean=mean), hear, generator), []
                for start in range(0, len(film.wave), CUT):
                    piece = film.wave[start : start + CUT]
                    if isinstance(hear, EarHearing):
                        hear.push(piece, last=start + CUT >= len(film.wave))
                    parts.append(live.push(*features.push(piece)))
                motion = torch.cat([*parts, live.push(*features.finish(), last=True)], 1)[0]
                scores.append(correlation(control(motion, "jawOpen"), truth))
                latency = live.look_ahead + features.look_ahead
        return {"chunked_minus_offline": worst, "live_jaw_r": float(np.mean(live_r)),
                "live_jaw_r_unknown_recording": float(np.mean(blind_r)),
                "live_latency_seconds": latency}  # fmt: skip

    def speed(self) -> dict[str, float]:
        """Time of one frame, all steps and guidance included, features not."""
        frames, started = 0, time.perf_counter()
        for film in self.films[:3]:
            frames += self.draw(film).shape[1]
        return {"milliseconds_per_frame": 1000 * (time.perf_counter() - started) / frames}


def judged(measured: dict) -> dict[str, dict]:
    """Every goal with what was measured and whether it is met."""
    compare = {
        "above": lambda x, goal: x > goal,
        "below": lambda x, goal: x < goal,
        "at most": lambda x, goal: x <= goal,
    }
    return {
        name: {"measured": measured[name], "must be": f"{how} {goal:g}",
        "met": bool(compare[how](measured[name], goal))}
        for name, (goal, how) in GOALS.items()
    }  # fmt: skip


def rounded(value: Any) -> Any:
    """Numbers of a nested result to four places."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(float(value), 4) if isinstance(value, float | np.floating) else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--set", choices=("test", "development"), default="test")
    parser.add_argument("--films", type=int, default=4, help="films of each voice")
    parser.add_argument("--clips", type=int, default=3, help="sentences of each film")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument(
        "--only", nargs="*", help="measure these parts alone, such as lips, seams; writes no result"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network, header = load(arguments.weights)
    with torch.inference_mode():
        hearing = hearing_of(network.config.encoder)
        films = make_films(arguments.set, arguments.films, arguments.clips, arguments.seed, hearing)
        study = Study(network, hearing, films, Sampling(steps=arguments.steps))
        seams = {"seam_jump": study.sampling, "live_seam_jump": replace(LIVE, steps=arguments.steps)}
        parts = {
            "lips": study.lips, "settings": lambda: {"jaw_r_with": study.settings()},
            "emotions": study.emotions,
            "intensity": study.intensity, "seams": lambda: {name: study.seams(how) for name,
            how in seams.items()},
            "yaw": study.commanded_yaw, "diversity": study.diversity, "streaming": study.streaming,
            "speed": study.speed,
        }  # fmt: skip
        measured: dict = {}
        for name, measure in parts.items():
            if arguments.only is None or name in arguments.only:
                started, found = time.monotonic(), measure()
                measured |= found
                print(
                    f"{name} ({time.monotonic() - started:.0f} s): {json.dumps(rounded(found))}", flush=True
                )
    if arguments.only is not None:
        return
    goals = judged(rounded(measured))
    result = {
        "what": "tiny network on synthetic speech and rule-made motion; says nothing about real faces",
        "command": "python3 run.py python -m talking_portrait.training.takin.evaluate "
        "WEIGHTS RESULT " + " ".join(sys.argv[3:]),
        "weights": {key: value for key, value in header.items() if key != "takin"},
        "config": json.loads(header["takin"]),
        "set": arguments.set, "seed": arguments.seed,
        "films": len(films), "minutes": sum(len(film.truth) for film in films) / FPS / 60,
        "goals_met": sum(row["met"] for row in goals.values()),
        "goals_missed": [name for name, row in goals.items() if not row["met"]],
        "goals": goals, "measured": measured,
    }  # fmt: skip
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    arguments.result.write_text(json.dumps(rounded(result), indent=1) + "\n", encoding="utf-8")
    print(
        f"{result['goals_met']} of {len(goals)} goals met; missed: {', '.join(result['goals_missed']) or 'none'}"
    )


if __name__ == "__main__":
    main()
