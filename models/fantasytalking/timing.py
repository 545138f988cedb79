"""How many frames, samples and audio tokens a film has (the official `infer.py` and
`FantasyTalkingAudioConditionModel`)."""

import math

FPS = 23  # at which the published weights were trained
RATE = 16000
MAX_FRAMES = 81  # trained length
SLACK = 0.01  # of a frame: less is the rounding of a sound to whole samples, not more sound
# wav2vec2's feature extractor: kernel, stride
CONVOLUTIONS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))


def official_frames(seconds: float, longest: int = MAX_FRAMES, fps: float = FPS) -> int:
    """Frames that the published script makes of so much sound: 4k + 1, and up to five more than the sound lasts."""
    return min(int(fps * seconds // 4) * 4 + 5, longest)


def whole_frames(seconds: float, fps: float) -> int:
    """The least number 4k + 1 (k >= 1) of frames that is not shorter than the sound, but for a hundredth of a frame."""
    needed = max(math.ceil(seconds * fps - SLACK), 5)
    return -(-(needed - 1) // 4) * 4 + 1


def latent_frames(frames: int) -> int:
    """Frames of the video's latent: the first frame, then four at a time."""
    return (frames - 1) // 4 + 1


def samples_of(frames: int, fps: float = FPS) -> int:
    """Samples at 16 kHz that belong to so many frames."""
    return int(frames / fps * RATE)


def token_count(samples: int) -> int:
    """Vectors that wav2vec2 makes of so many samples, about 50 per second."""
    for kernel, stride in CONVOLUTIONS:
        samples = (samples - kernel) // stride + 1
    return max(samples, 0)
