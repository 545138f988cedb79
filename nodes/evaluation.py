"""Films in figures: one alone, or beside its reference."""

import json
from typing import Any

import numpy as np
from comfy_api.latest import io

from ..models.measures.descriptions import shown
from ..models.measures.evaluation import Values, compare, film_measures, report, tried
from ..models.measures.even_frames import even_frames
from ..models.measures.faces_of_film import watch
from ..models.measures.network_values import Shown, hopenet_values
from ..models.measures.sync_of_face import sync_values
from ..models.speech.visemes import VISEMES
from . import sockets
from .catalogue.engines import hearing_networks
from .catalogue.files_node import NodeWithFiles
from .catalogue.network_menu import OFF, network_menu
from .measuring_networks import beside_reference, hopenet_model, syncnet_model
from .progress import tell, ticker
from .videos import film_of, frames_expected, sound_of

CATEGORY = "talking portrait/measure"
EVALUATE, COMPARE = "Evaluate Talking Video", "Compare Videos"


def face_inputs() -> list:
    """What both nodes ask for at the end."""
    return [
        sockets.FaceDetectionModel.Input(
            "face_detection_model", tooltip="From Load Face Detector (built-in)."
        ),
        io.Int.Input(
            "face_index", default=0, min=0, max=5,
            tooltip="Whose face: 0 is the largest of the first frame; it is then followed.",
        ),
    ]  # fmt: skip


def official_input(tooltip: str) -> Any:
    """The switch for numbers that are to be compared with published ones."""
    return io.Boolean.Input("official", default=False, advanced=True, tooltip=tooltip)


def told_outputs() -> list:
    """What both nodes end with."""
    return [
        io.String.Output(
            display_name="report", tooltip="Every value in words; show it with Preview as Text."
        ),
        io.String.Output(
            display_name="json", tooltip="The same for programs: names as in run.py evaluate --list."
        ),
    ]


def as_outputs(values: Values, notes: list[str]) -> tuple[str, str]:
    """The report and the same as JSON, which knows no infinity."""
    words = "\n".join(report(values, notes, shown))
    numbers = {name: value if np.isfinite(value) else str(value) for name, value in values.items()}
    return words, json.dumps({**numbers, "notes": notes}, indent=1)


class EvaluateTalkingVideo(NodeWithFiles):
    line = staticmethod(tell)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitEvaluateVideo",
            display_name=EVALUATE,
            category=CATEGORY,
            description="Measures a film of a speaking face: lips and voice, p, b, m, blinks, head, smoothness and "
            "sharpness; LSE-C and LSE-D with SyncNet's file, KDTalker's diversity with Hopenet's.",
            search_aliases=[
                "metrics", "quality", "LSE", "LSE-C", "LSE-D", "syncnet", "CPBD", "beat align", "benchmark",
            ],
            inputs=[
                io.Video.Input("video", tooltip="Read frame by frame, however long it is."),
                *face_inputs(),
                io.Audio.Input("audio", optional=True, tooltip="Instead of the video's own sound."),
                io.Int.Input(
                    "sharpness_every", default=5, min=1, max=1000, advanced=True,
                    tooltip="CPBD is measured in one of so many frames.",
                ),
                network_menu(
                    "syncnet", "measures.syncnet", "Also LSE-C, LSE-D and offset.", optional=False, advanced=False
                ),
                official_input("As the published scripts do it, traps included, to compare numbers."),
                network_menu("hopenet", "measures.hopenet", "Also KDTalker's diversity, and head motion in degrees."),
            ],
            outputs=[
                *told_outputs(),
                io.Float.Output(display_name="lag", tooltip="Frames by which the lips are late; 0 without sound."),
                io.Float.Output(
                    display_name="correlation", tooltip="Of lips and loudness, -1 to 1; 0 without sound."
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, video, face_detection_model, face_index, audio=None, sharpness_every=5, syncnet=OFF, official=False,
        hopenet=OFF,
    ) -> io.NodeOutput:  # fmt: skip
        path = cls.wanted("syncnet", syncnet)
        network = None if path is None else syncnet_model(path, EVALUATE)
        path = cls.wanted("hopenet", hopenet)
        head = None if path is None else hopenet_model(path, EVALUATE)
        film = film_of(video)
        sound = (
            sound_of(video) if audio is None else (audio["waveform"][0].float().cpu(), audio["sample_rate"])
        )
        seen = watch(
            even_frames(film, film.fps), film.fps, face_detection_model, ticker(), frames_expected(video),
            sharpness_every,
        )  # fmt: skip
        values, notes = film_measures(seen, sound, hears if sound is not None else None, face_index, official)
        if network is not None:
            values |= sync_values(
                network.ready(), film, seen, sound, face_detection_model, official, ticker()
            )
        if head is not None:
            shown_face = Shown(film, seen.fps, seen.followed(face_index))
            tried(values, notes, lambda: hopenet_values(head.ready(), shown_face, head.device))
        words, text = as_outputs(values, notes)
        tell(f"{len(seen)} frames measured")
        return io.NodeOutput(words, text, values.get("lip_lag", 0.0), values.get("lip_correlation", 0.0))


def hears(wave: np.ndarray, rate: int) -> np.ndarray:
    """Probability of p, b or m at 100 Hz, by the networks that ship."""
    from ..models.speech.viseme_hearing import hear_recording

    networks, device = hearing_networks(EVALUATE)
    return hear_recording(networks(), wave, rate, device, ticker())[0][:, VISEMES.index("PP")]


class CompareVideos(NodeWithFiles):
    line = staticmethod(tell)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitCompareVideos",
            display_name=COMPARE,
            category=CATEGORY,
            description="Measures how far a film is from the film that it should be: PSNR, SSIM, L1, landmarks (LMD), "
            "pose and expression; identity, FID, FVD and LPIPS with their networks' files.",
            search_aliases=[
                "metrics", "PSNR", "SSIM", "LMD", "FID", "FVD", "LPIPS", "CSIM", "ground truth", "difference",
                "benchmark",
            ],
            inputs=[
                io.Video.Input("video", tooltip="The film that is measured. Read frame by frame."),
                io.Video.Input("reference", tooltip="The film that it should be. Its frame rate counts."),
                *face_inputs(),
                official_input("PSNR and L1 as ACTalker's script prints them, whose bytes wrap."),
                network_menu("arcface", "actalker.arcface", "Also identity: is it the reference's person?"),
                network_menu("inception", "measures.inception", "Also FID of both films' frames."),
                network_menu("i3d", "measures.i3d", "Also FVD of both films' runs of 16 frames."),
                network_menu("alexnet", "measures.alexnet", "Also LPIPS; needs the Python package lpips too."),
            ],
            outputs=[
                *told_outputs(),
                io.Float.Output(display_name="psnr", tooltip="Decibels; 0 where sizes differ, 100 for equal films."),
                io.Float.Output(display_name="ssim", tooltip="-1 to 1; 0 where sizes differ."),
                io.Float.Output(
                    display_name="lmd", tooltip="Of the mouth, percent of the eye distance; 0 is equal."
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, video, reference, face_detection_model, face_index, official=False, arcface=OFF, inception=OFF, i3d=OFF,
        alexnet=OFF,
    ) -> io.NodeOutput:  # fmt: skip
        chosen = {"arcface": arcface, "inception": inception, "i3d": i3d, "alexnet": alexnet}
        files = {name: path for name, file in chosen.items() if (path := cls.wanted(name, file)) is not None}
        film, other = film_of(video), film_of(reference)
        rate = other.fps
        found = compare(
            even_frames(film, rate), even_frames(other, rate), rate, face_detection_model, ticker(),
            frames_expected(reference), official,
        )  # fmt: skip
        values, notes = found.values(face_index)
        shown_face, real_face = (
            Shown(one, rate, seen.followed(face_index))
            for one, seen in zip((film, other), found.films, strict=True)
        )
        for name, path in files.items():
            tell(f"measuring with {path.name}")
            more, about = beside_reference(name, path, shown_face, real_face, official, COMPARE)
            values, notes = values | more, notes + about
        tell(f"{len(found.likeness)} pairs of frames compared")
        psnr = min(values.get("psnr", 0.0), 100.0)
        return io.NodeOutput(
            *as_outputs(values, notes), psnr, values.get("ssim", 0.0), values.get("m_lmd_eyes", 0.0)
        )


NODES = [EvaluateTalkingVideo, CompareVideos]
