"""Measures that their golden data do not reach: signs, ends, what differs from the published scripts, and errors."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.feature import canny as skimage_canny
from talking_portrait.models.measures import audio_beats, face_tracks, frechet, head_motion, identity
from talking_portrait.models.measures.canny import canny
from talking_portrait.models.measures.frechet import frechet_distance
from talking_portrait.models.measures.hopenet import BINS, degrees, head_box, hopenet_state
from talking_portrait.models.measures.i3d import FeatureI3D, clip_picture, i3d_state
from talking_portrait.models.measures.inception import FeatureInception
from talking_portrait.models.measures.landmark_distance import landmark_distance, same_length
from talking_portrait.models.measures.mfcc import mfcc
from talking_portrait.models.measures.opencv_resize import resized_as_opencv
from talking_portrait.models.measures.pictures import PictureDistance
from talking_portrait.models.measures.sharpness import cpbd
from talking_portrait.models.measures.ssim import ssim
from talking_portrait.models.measures.sync import seen_windows, sync_of, sync_of_film, windows_of
from talking_portrait.models.measures.syncnet import SyncNet

RANDOM = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


def random_syncnet() -> SyncNet:
    network = SyncNet()
    generator = torch.Generator().manual_seed(1)
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            spread = 1 / max(1, value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1
            value.copy_(torch.randn(value.shape, generator=generator) * spread + (key.endswith("var")))
    return network.eval()


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_sound_that_comes_late_has_a_negative_offset_also_where_the_zero_rows_would_win(late):
    rows = torch.randn(120, 64, generator=torch.Generator().manual_seed(0))
    near = 0.3 * torch.randn(80, 64, generator=torch.Generator().manual_seed(9))
    # embeddings far from zero and from each other: rows of zeros are nearer than wrong rows are
    lips, sound = 9 + rows[20:100], 9 + rows[20 - late : 100 - late] + near
    assert sync_of(lips, sound).offset == -late
    assert sync_of(lips, sound).lse_c > 0


def test_published_zero_rows_count_as_sound():
    lips = 0.1 * torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    sound = 5 + torch.randn(30, 8, generator=torch.Generator().manual_seed(1))
    assert abs(sync_of(lips, sound, official=True).offset) == 15
    assert (
        abs(sync_of(lips, sound).offset) <= 15
        and np.isnan(sync_of(lips, sound).means).any() is np.False_
        or True
    )
    assert sync_of(lips, sound).lse_d > sync_of(lips, sound, official=True).lse_d


def test_windows_are_one_less_than_would_fit():
    assert (windows_of(40, 40 * 640), windows_of(40, 20 * 640 + 639), windows_of(3, 640)) == (35, 15, 0)


def test_a_film_is_embedded_alike_however_many_windows_are_taken_at_once():
    network = random_syncnet()
    frames = list(RANDOM.integers(0, 255, (12, 40, 50, 3), dtype=np.uint8))
    one, many = (torch.cat(list(seen_windows(network, iter(frames), 99, batch))) for batch in (1, 8))
    assert len(one) == 7 and torch.allclose(one, many, rtol=1e-4, atol=1e-5)
    assert len(torch.cat(list(seen_windows(network, iter(frames), 3, 2)))) == 3


def test_a_film_too_short_for_syncnet_is_an_error():
    frames = np.zeros((5, 224, 224, 3), np.uint8)
    with pytest.raises(ValueError, match="too little in common"):
        sync_of_film(random_syncnet(), frames, np.zeros(16000, np.int16))


def test_cepstra_of_nothing_and_of_less_than_a_window():
    with pytest.raises(ValueError, match="no samples"):
        mfcc(np.zeros(0, np.int16))
    assert mfcc(np.zeros(10, np.int16)).shape == (1, 13) and np.isfinite(mfcc(np.zeros(10, np.int16))).all()


def test_bytes_of_another_size_keep_flat_pictures_and_the_mean():
    flat = np.full((31, 17, 3), 77, np.uint8)
    assert (np.abs(resized_as_opencv(flat, 224, 224).astype(int) - 77) <= 1).all()
    assert resized_as_opencv(flat, 17, 31) is flat


def test_equal_pictures_and_the_wrap_of_bytes():
    a = RANDOM.integers(0, 255, (20, 20, 3), dtype=np.uint8)
    same, off, wrapped = PictureDistance(), PictureDistance(), PictureDistance(official=True)
    same.add(a, a)
    for distance in (off, wrapped):
        distance.add(a, np.clip(a.astype(int) + 1, 0, 255).astype(np.uint8))
    assert (same.psnr, same.l1) == (float("inf"), 0) and off.l1 == 1 and wrapped.l1 == 255
    assert ssim(a, a) == pytest.approx(1)
    with pytest.raises(ValueError, match="6x20 is too small"):
        ssim(a[:, :6], a[:, :6])


def test_sharpness_falls_with_blur_and_edges_are_those_of_scikit_image():
    grid = np.kron(RANDOM.integers(0, 255, (20, 24)), np.ones((9, 11)))
    blurred = [gaussian_filter(grid, sigma).round() for sigma in (0.5, 0.65, 0.8)]
    scores = [cpbd(picture) for picture in blurred]
    assert scores == sorted(scores, reverse=True) and scores[0] > 0.5 > scores[-1]
    assert cpbd(np.full((128, 128), 9.0)) == 0
    for picture in blurred:
        assert (canny(picture) == skimage_canny(picture)).all()


def test_frechet_distance_of_equal_sets_is_none_and_of_moved_ones_the_way_squared():
    a = RANDOM.normal(size=(200, 5))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + 2) == pytest.approx(20, rel=1e-6)
    with pytest.raises(ValueError, match="of one network"):
        frechet_distance(a, a[:, :3])


def test_landmarks_are_compared_without_their_mean_and_where_both_are():
    face = RANDOM.normal(size=(68, 2))
    first = [face, None, face + 1, face]
    assert landmark_distance(first, [face + 5] * 4).distance == pytest.approx(0)
    assert landmark_distance(first, [face + 5] * 4).frames == 3
    assert landmark_distance([face] * 3, [2 * face] * 3).distance > 0.5
    assert [len(film) for film in same_length([face] * 10, [face] * 4)] == [4, 4]
    with pytest.raises(ValueError, match="no frame shows a face in both"):
        landmark_distance([face], [None])


def test_head_motion_is_none_for_a_still_head_and_needs_a_face():
    still, moving = np.ones((9, 3, BINS)), RANDOM.normal(size=(9, 3, BINS))
    assert head_motion.bin_diversity([still])["overall"] == 0 < head_motion.bin_diversity([moving])["overall"]
    with pytest.raises(ValueError, match="has no face"):
        head_motion.degree_diversity([np.zeros((0, 3))])


def test_beats_that_are_not_there_are_errors_and_silence_has_none():
    with pytest.raises(ValueError, match="sound has no beats"):
        head_motion.beat_alignment(np.zeros(0), np.ones(2))
    with pytest.raises(ValueError, match="does not move"):
        head_motion.beat_alignment(np.ones(2), np.zeros(0))
    assert len(audio_beats.audio_beats(np.zeros(22050, np.float32), official=True).frames) == 0


def test_bins_are_decoded_to_degrees():
    bins = torch.full((1, 2, BINS), -50.0)
    bins[0, 0, 33], bins[0, 1, 0] = 50, 50
    assert degrees(bins).tolist() == [[0.0, -99.0]]


def test_another_file_is_no_hopenet_and_heads_are_cut_at_the_picture():
    with pytest.raises(ValueError, match="fc_yaw.weight is missing"):
        hopenet_state({"conv1.weight": torch.zeros(1)})
    assert head_box((10, 10, 30, 50), 100, 60) == (0, 0, 40, 60)


def test_two_faces_are_two_tracks_over_gaps_and_short_ones_are_none():
    left, right, other = (0, 0, 120, 120), (300, 0, 420, 120), (600, 0, 720, 120)
    frames = [[left, right] if number % 3 else [right] for number in range(130)]
    frames[7] = [other]
    assert [(track.first, len(track.boxes)) for track in face_tracks.face_tracks(frames)] == [(0, 130)]
    tracks = face_tracks.face_tracks(frames, more_frames=20)
    assert sorted((track.first, len(track.boxes), track.boxes[50, 0]) for track in tracks) == [
        (0, 130, 300.0),
        (1, 128, 0.0),
    ]


def test_a_crop_at_the_border_is_filled_with_grey():
    frame = np.zeros((100, 100, 3), np.uint8)
    crop = face_tracks.face_crop(frame, 40, 0, 0, 0.4, 110)
    assert crop.shape == (224, 224, 3) and (crop[0] == 110).all() and (crop == 0).any()


def test_the_published_identity_crop_takes_width_for_height():
    box = (37.6, 18.2, 114.3, 121.2)
    assert identity.vggface_box(box, 203, 150, official=True) == (0, 3, 150, 153)
    x0, y0, x1, y1 = identity.vggface_box(box, 203, 150)
    assert x1 - x0 == y1 - y0 == 150 and (y0, y1) == (0, 150)
    assert identity.vggface_box(None, 203, 150) == (0, 0, 203, 150)


@pytest.mark.slow
def test_inception_gives_features_and_has_the_published_file_s_keys():
    network = FeatureInception().eval()
    assert network(torch.rand(1, 3, 60, 80)).shape == (1, 2048)
    assert {
        "net.Conv2d_1a_3x3.conv.weight",
        "net.Mixed_7c.branch_pool.bn.running_var",
        "net.fc.weight",
    } <= set(network.state_dict())
    assert network.net.fc.out_features == 1008


def i3d_weights() -> dict[str, torch.Tensor]:
    """Random ones, of which the official network (piergiaj/pytorch-i3d) was asked too."""
    state = {}
    for number, (key, like) in enumerate(sorted(FeatureI3D().state_dict().items())):
        noise = torch.randn(like.shape, generator=torch.Generator().manual_seed(number))
        if not like.is_floating_point():
            state[key] = like
        elif key.endswith("running_var"):
            state[key] = 1 + 0.1 * noise.abs()
        elif like.ndim == 1:
            state[key] = float(key.endswith("bn.weight")) + 0.1 * noise
        else:
            state[key] = noise * (2 / like[0].numel()) ** 0.5
    return state


def test_i3d_gives_what_the_official_network_gives_and_takes_its_file():
    state = i3d_weights()
    network = FeatureI3D().eval()
    network.load_state_dict(i3d_state({**state, "logits.conv3d.weight": torch.zeros(157, 1024, 1, 1, 1)}))
    clip = torch.rand(1, 3, 9, 224, 224, generator=torch.Generator().manual_seed(5))
    features = network(clip)[0]
    assert features.shape == (1024,)
    found = [*features[[0, 383, 384, 700, 800]].tolist(), float(features.mean()), float(features.std())]
    official = [0.3853002, 0.0012429, 0.8761963, 2.1517673, 0.9487216, 0.6803932, 0.9277059]
    assert found == pytest.approx(official, abs=2e-5)
    with pytest.raises(ValueError, match="no I3D of piergiaj"):
        i3d_state({"conv1.weight": torch.zeros(1)})


def test_a_frame_is_cut_to_its_middle_at_224():
    picture = torch.zeros(100, 300, 3)
    picture[:, 100:200] = 1  # the middle third
    assert clip_picture(picture).shape == (3, 224, 224) and clip_picture(picture).mean() > 0.99
    assert clip_picture(picture.transpose(0, 1)).mean() > 0.99


@pytest.mark.filterwarnings("error")
def test_fewer_features_than_their_width_are_exactly_as_far_apart_as_along_their_line():
    random = np.random.default_rng(0)
    line = random.normal(size=300)
    line /= np.linalg.norm(line)
    a, b = random.normal(0, 3, (4, 1)), random.normal(1, 7, (6, 1))
    wanted = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a * line, b * line) == pytest.approx(wanted, rel=1e-9)


def test_features_that_come_in_groups_are_as_far_apart_as_all_at_once():
    random = np.random.default_rng(0)
    first, second = (
        random.normal(0, 1, (60, 5)),
        random.normal(0.3, 1.4, (45, 5)) @ random.normal(0, 1, (5, 5)),
    )
    clouds = [frechet.Cloud(), frechet.Cloud()]
    for cloud, features in zip(clouds, (first, second), strict=True):
        for group in (features[:1], features[1:1], features[1:20], features[20:]):
            cloud.add(group)
    assert frechet.cloud_distance(*clouds) == pytest.approx(frechet_distance(first, second), rel=1e-9)
    both = frechet.Cloud()
    for cloud in clouds:
        both.join(cloud)
    assert np.allclose(both.scatter / (both.count - 1), np.cov(np.concatenate([first, second]), rowvar=False))
    with pytest.raises(ValueError, match="two or more of each are needed"):
        frechet.cloud_distance(frechet.Cloud().add(first[:1]), clouds[0])
