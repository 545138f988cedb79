"""The face networks on a second device: the same faces, and one wait for up to eight of them."""

import copy

import numpy as np
import pytest
import torch
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.tools.pretend_accelerator import accelerator, moved

from .film_samples import portrait


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("variant", ["short", "full"])
def test_faces_are_the_same_there(variant):
    picture, _ = portrait()
    here = load_face_detector().patchers[variant].model
    there, counted = moved(copy.deepcopy(here)), []
    for count in (1, 8):
        wanted = here.detect_batch([picture] * count, 1, 0.3)
        with accelerator() as traffic:
            found = there.detect_batch([picture] * count, 1, 0.3)
        counted.append((traffic.waits.total(), traffic.uploads.total()))
        for (one,), (other,) in zip(wanted, found, strict=True):
            for name in ("landmarks_xy", "landmarks_3d", "bbox_xyxy"):
                assert np.allclose(one[name], other[name], atol=1e-3)
            assert one["presence"] == pytest.approx(other["presence"], abs=1e-3)
    (waits, uploads), (waits_of_eight, uploads_of_eight) = counted
    assert waits_of_eight == waits
    assert uploads_of_eight - uploads <= 7 * 2, "more than its part of the picture and the places of its crop"
