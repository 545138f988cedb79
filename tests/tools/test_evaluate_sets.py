"""FID and FVD of a set of films, as `run.py evaluate --with inception i3d` has them beside those of each film."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from talking_portrait.models.measures.even_frames import even_frames
from talking_portrait.models.measures.frechet import frechet_distance
from talking_portrait.models.media.video_stream import VideoStreamWriter
from talking_portrait.tools.evaluate import networks
from talking_portrait.tools.evaluate.films import Given, opened


class Colours(torch.nn.Module):
    """In the place of Inception: the mean of each colour in each half."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(pictures, (2, 1)).flatten(1)


def film(path: Path, seed: int, frames: int) -> Given:
    random = torch.Generator().manual_seed(seed)
    with VideoStreamWriter(path, Fraction(25), None, 0, crf=0) as writer:
        for _ in range(frames):
            colour = torch.rand(2, 1, 3, generator=random) * (0.5 + 0.1 * seed)
            writer.write(colour.repeat_interleave(8, 0).expand(16, 16, 3)[None])
    return opened(path)


class Change(torch.nn.Module):
    """In the place of I3D: how each colour of a clip [n,3,T,H,W] changes."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips.diff(dim=2).square().mean((2, 3, 4))


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(networks, "FeatureInception", Colours)
    monkeypatch.setattr(networks, "FeatureI3D", Change)
    monkeypatch.setattr(networks, "i3d_state", dict)
    monkeypatch.setattr(networks, "weights", lambda key, models: {})
    sets = networks.Sets()

    def ask(given: Given, reference: Given | None) -> networks.Asked:
        nothing = {"seen": None, "faces": [], "reference_faces": None, "detector": None, "models": Path()}
        return networks.Asked(
            given=given, reference=reference, device=torch.device("cpu"), official=False, sets=sets, **nothing
        )  # type: ignore[arg-type]

    return ask


def features(films: list[Given]) -> np.ndarray:
    pictures = [pixels.permute(2, 0, 1) for one in films for pixels in even_frames(one.film, one.film.fps)]
    return Colours()(torch.stack(pictures)).numpy()


def test_fid_of_a_set_is_that_of_all_its_frames_and_a_shared_reference_counts_once(asked, tmp_path):
    films = [film(tmp_path / f"{seed}.mp4", seed, 9 + seed) for seed in (1, 2)]
    reference = film(tmp_path / "real.mp4", 3, 14)
    with torch.inference_mode():
        alone = networks.inception(asked(films[0], reference))
        sets = asked(films[0], reference).sets
        assert sets.values() == {}, "one film is no set"
        networks.inception(asked(films[1], reference))
    assert alone["fid"] == pytest.approx(
        frechet_distance(features(films[:1]), features([reference])), rel=1e-4
    )
    assert sets.clouds["fid", "references"].count == 14 and sets.clouds["fid", "films"].count == 10 + 11
    wanted = frechet_distance(features(films), features([reference]))
    assert sets.values()["fid"] == pytest.approx(wanted, rel=1e-4) and wanted > 0


def test_without_a_reference_it_says_what_to_give(asked, tmp_path):
    with pytest.raises(ValueError, match="Give --reference"):
        networks.inception(asked(film(tmp_path / "a.mp4", 1, 3), None))


def test_fvd_counts_whole_runs_of_16_frames_and_says_where_there_are_too_few(asked, tmp_path):
    films = [film(tmp_path / f"{seed}.mp4", seed, 33) for seed in (1, 2)]
    reference = film(tmp_path / "real.mp4", 3, 50)
    with torch.inference_mode():
        alone, sets = networks.i3d(asked(films[0], reference)), asked(films[0], reference).sets
        assert alone["fvd"] > 0 and sets.values() == {}, "one film is no set"
        networks.i3d(asked(films[1], reference))
        assert sets.clouds["fvd", "films"].count == 2 + 2 and sets.clouds["fvd", "references"].count == 3
        assert sets.values()["fvd"] > 0
        with pytest.raises(
            ValueError, match="two clips of 16 frames or more of both films; there are 1 and 3"
        ):
            networks.i3d(asked(film(tmp_path / "short.mp4", 4, 31), reference))
