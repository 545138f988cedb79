"""Fine-tuning of LivePortrait's motion extractor with Takin-ADA's stage-1 losses: pictures, objective,
resume, files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from talking_portrait.models.liveportrait.checkpoint import FILES
from talking_portrait.training.data.drawn_faces import CONTROLS, draw, drawn_people
from talking_portrait.training.liveportrait.finetune_motion_extractor import (
    FineTuning,
    read_network,
)
from talking_portrait.training.liveportrait.stage1_proof import measured, tiny_extractor
from talking_portrait.training.takin.stage1_objective import (
    GUIDED,
    KEYPOINTS,
    Pairs,
    Penalties,
    Weights,
    bend,
    draw_pairs,
    posed,
    stage1_terms,
)
from talking_portrait.training.takin.stage1_pictures import Pictures, drawn_pictures, read_pictures

ALONE = {"reconstruction": 0.0, "equivariance": 0.0, "spread": 0.0, "pose": 0.0, "deformation": 0.0}


@pytest.fixture(scope="module")
def people():
    return drawn_people(2, 3)


@pytest.fixture(scope="module")
def data(people) -> Pictures:
    return drawn_pictures(people, 4, 32, np.random.default_rng(0))


def run(data, **weights) -> FineTuning:
    return FineTuning(tiny_extractor(1), replace(Weights(), **weights), 3, 40, 2, 3e-3)


@pytest.mark.slow
def test_drawn_faces_do_what_their_landmarks_say(people):
    """A lower lip that goes down leaves the dark of the mouth where the landmarks have a gap; turning left
    moves the nose left."""
    rest, front = np.zeros(len(CONTROLS)), np.zeros(3)
    place = np.array([1.0, 0.0, 0.0])
    _, still = draw(people[0], rest, front, 128, place)
    picture, wide = draw(people[0], np.eye(len(CONTROLS))[CONTROLS.index("jaw")], front, 128, place)
    assert wide[14, 1] - still[14, 1] > 0.1 and np.abs(wide[13] - still[13]).max() < 1e-6
    x, y = ((wide[13] + wide[14]) / 2 + 1) / 2 * 128
    assert picture[int(y), int(x)].max() < 120, "there is no open mouth between the lips"
    _, turned = draw(people[0], rest, np.array([0.0, 20.0, 0.0]), 128, place)
    eyes = [points[[33, 263], 0].mean() for points in (still, turned)]
    assert abs((turned[1, 0] - eyes[1]) - (still[1, 0] - eyes[0])) > 0.05, (
        "the nose does not move against the eyes"
    )
    _, shut = draw(people[0], np.eye(len(CONTROLS))[CONTROLS.index("lids")], front, 128, place)
    assert np.linalg.norm(shut[159] - shut[145]) < 0.3 * np.linalg.norm(still[159] - still[145])


def test_pairs_show_one_person_twice(data):
    pairs = draw_pairs(data, 64, torch.Generator().manual_seed(0))
    first = [int((data.pose == pose).all(1).nonzero()[0, 0]) for pose in pairs.source_pose]
    second = [int((data.pose == pose).all(1).nonzero()[0, 0]) for pose in pairs.driving_pose]
    assert all(a != b and data.person[a] == data.person[b] for a, b in zip(first, second, strict=True))
    assert len(GUIDED) == 10 and pairs.source_landmarks.shape == (64, 10, 2)


def test_the_bend_moves_what_its_keypoints_carry():
    picture = torch.zeros(1, 1, 32, 32)
    picture[..., 12:20, 4:12] = 1
    source = torch.tensor([[[-0.5, 0.0, 0.0]]])
    moved = bend(picture, source, source + torch.tensor([0.25, 0.0, 0.0]))  # 4 pixels to the right
    assert moved[0, 0, 14:18, 10:14].min() > 0.95 and moved[0, 0, 14:18, 4:6].max() < 0.2
    assert torch.allclose(bend(picture, source, source), picture, atol=1e-5)


@pytest.mark.parametrize(("name", "weight"), [("canonical", 1000.0), ("landmark", 100.0)])
def test_each_loss_falls_when_it_is_trained(data, name, weight):
    tuning = run(data, **{**ALONE, "canonical": 0.0, "landmark": 0.0, name: weight})
    pairs = draw_pairs(data, 8, torch.Generator().manual_seed(1))

    def now() -> float:
        with torch.no_grad():
            return float(stage1_terms(tuning.network, pairs, bend, torch.Generator().manual_seed(2))[name])

    before = now()
    for _ in range(25):
        tuning.run.learn(tuning.loss(data))
    assert now() < 0.5 * before


def test_the_text_s_penalties_can_be_chosen_in_the_place_of_the_equations_(data):
    pairs = draw_pairs(data, 4, torch.Generator().manual_seed(1))

    def terms(*kinds: str) -> dict[str, float]:
        with torch.no_grad():
            found = stage1_terms(
                tiny_extractor(1), pairs, bend, torch.Generator().manual_seed(2), Penalties(*kinds)
            )
        return {name: value.item() for name, value in found.items()}

    usual, text = terms("huber", "huber"), terms("l1", "wing")
    assert {name for name in usual if usual[name] != text[name]} == {"canonical", "landmark"}
    with pytest.raises(ValueError, match="kind is 'l3'"):
        terms("l3", "wing")


def test_equivariant_keypoints_cost_nothing():
    """A network whose keypoints follow the picture exactly has no equivariance loss; one that says always the
    same has."""
    from talking_portrait.models.liveportrait.motion_extractor import KeypointMotion

    def marks(picture: torch.Tensor, follow: bool) -> KeypointMotion:
        count, side = len(picture), picture.shape[-1]
        axis = (torch.arange(side) + 0.5) * 2 / side - 1
        weight = picture[:, 0] / picture[:, 0].sum((1, 2), keepdim=True)
        centre = torch.stack([(weight * axis).sum((1, 2)), (weight * axis[:, None]).sum((1, 2))], 1) * follow
        points = torch.cat([centre, torch.zeros(count, 1)], 1)[:, None].expand(-1, 21, -1)
        zero = torch.zeros(count, 1)
        return KeypointMotion(
            points, 1 + zero, zero, zero, zero, torch.zeros(count, 3), torch.zeros(count, 21, 3)
        )

    blob = torch.zeros(4, 3, 64, 64)
    blob[..., 28:40, 22:34] = 1
    pairs = Pairs(
        blob, blob, torch.zeros(4, 10, 2), torch.zeros(4, 10, 2), torch.zeros(4, 3), torch.zeros(4, 3)
    )
    loss = [float(stage1_terms(lambda picture, follow=follow: marks(picture, follow), pairs, bend,
                               torch.Generator().manual_seed(0))["equivariance"]) for follow in (True,
                               False)]  # fmt: skip
    assert loss[0] < 0.01 < 0.05 < loss[1]


def test_a_stopped_run_goes_on_with_the_same_numbers(data, tmp_path):
    def steps(tuning: FineTuning, count: int) -> list[dict[str, float]]:
        return [tuning.run.learn(tuning.loss(data)).terms for _ in range(count)]

    losses = steps(run(data), 4)
    first = run(data)
    early = steps(first, 2)
    first.run.save(tmp_path / "r.safetensors")
    second = run(data)
    torch.randn(7)
    second.run.resume(tmp_path / "r.safetensors")
    assert early + steps(second, 2) == losses
    with pytest.raises(ValueError, match="of a run with other settings .weights"):
        run(data, canonical=1.0).run.resume(tmp_path / "r.safetensors")
    (tmp_path / "r.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match="r.safetensors cannot be read"):
        run(data).run.resume(tmp_path / "r.safetensors")


def test_the_result_loads_where_the_published_file_does(data, tmp_path):
    tuning = run(data)
    tuning.run.learn(tuning.loss(data))
    tuning.write(tmp_path / "m.safetensors", {"seed": "3"})
    network = read_network(tmp_path / "m.safetensors", "motion")
    assert (
        FILES["motion"].convert(load_file(tmp_path / "m.safetensors")).keys() == network.state_dict().keys()
    )
    with torch.no_grad():
        picture = data.pictures[:1].float() / 255
        assert torch.equal(posed(network(picture)), posed(tuning.network(picture))) and len(KEYPOINTS) == 10
    figures = measured(network, data, data, data)
    assert set(figures) == {"leak", "between", "guided_error", "read_out_error", "reconstruction", "unmoved"}


def test_wrong_files_are_refused_by_name(data, tmp_path):
    def broken(name: str, tensors: dict) -> Path:
        save_file({key: value.contiguous() for key, value in tensors.items()}, tmp_path / name)
        return tmp_path / name

    good = vars(data)
    with pytest.raises(ValueError, match="a.safetensors holds no pictures for this training"):
        read_pictures(broken("a.safetensors", {"x": torch.zeros(1)}))
    with pytest.raises(ValueError, match="landmarks has shape"):
        read_pictures(broken("b.safetensors", {**good, "landmarks": good["landmarks"][:, :68]}))
    with pytest.raises(ValueError, match="every person needs two pictures"):
        read_pictures(broken("c.safetensors", {**good, "person": torch.arange(len(data))}))
    with pytest.raises(ValueError, match="d.safetensors cannot be used: it is not the motion extractor"):
        read_network(broken("d.safetensors", {"dense_motion_network.mask.weight": torch.zeros(1)}), "motion")
    state = tiny_extractor(1).state_dict()
    del state["detector.fc_exp.bias"]
    with pytest.raises(ValueError, match="e.safetensors does not fit the motion extractor"):
        read_network(broken("e.safetensors", state), "motion")
