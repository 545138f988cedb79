"""KDTalker's speech features: the mel spectrogram of Wav2Lip, cut into one window per video frame."""

import numpy as np

from .sound import librosa

RATE, FPS = 16000, 25
SAMPLES_PER_FRAME = RATE // FPS
WINDOW, HOP, BANDS = 800, 200, 80
STEPS = 16  # mel frames that the audio encoder sees at once


def mel_basis() -> np.ndarray:
    """[80,401] Slaney mel filters between 55 and 7600 Hz, float32."""
    return librosa().filters.mel(sr=RATE, n_fft=WINDOW, n_mels=BANDS, fmin=55, fmax=7600, dtype=np.float32)


def frame_total(samples: int) -> int:
    """Whole video frames of 40 ms in that many samples at 16 kHz."""
    return samples // SAMPLES_PER_FRAME


def mel_total(samples: int) -> int:
    """Mel frames of that many samples."""
    return 1 + samples // HOP


def mel_frames(wave: np.ndarray, first: int, last: int) -> np.ndarray:
    """Mel frames first to last - 1 of a wave [T] at 16 kHz: [80,last-first] in -4..4, float32, 80 per second.

    Frame m looks at 800 samples around sample 200 m; beyond the wave there is silence.
    """
    start, stop = first * HOP - WINDOW // 2 - 1, (last - 1) * HOP + WINDOW // 2
    part = wave[max(start, 0) : max(stop, 0)].astype(np.float64)
    part = np.pad(part, (max(-start, 0), max(stop - len(wave), 0)))
    emphasised = part[1:] - 0.97 * part[:-1]
    # the filter's tail beyond the last sample is not part of the sound
    emphasised[max(len(wave) - start - 1, 0) :] = 0
    magnitude = np.abs(
        librosa().stft(emphasised, n_fft=WINDOW, hop_length=HOP, win_length=WINDOW, center=False)
    )
    decibels = 20 * np.log10(np.maximum(1e-5, mel_basis() @ magnitude)) - 20
    return np.clip(8 * (decibels + 100) / 100 - 4, -4, 4).astype(np.float32)


def mel_spectrogram(wave: np.ndarray) -> np.ndarray:
    """[T] samples at 16 kHz -> [80, 1 + T // 200]."""
    return mel_frames(wave, 0, mel_total(len(wave)))


def window_start(frame: int) -> int:
    """First mel frame of a video frame's window: two video frames back, cut towards zero as the network was trained."""
    return int(80 * ((frame - 2) / 25.0))


def mel_windows(wave: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Windows [stop-start,80,16] of video frames start to stop - 1 of a wave at 16 kHz; the first and last
    mel frames repeat."""
    first = np.array([window_start(frame) for frame in range(start, stop)], int)
    index = np.clip(first[:, None] + np.arange(STEPS), 0, mel_total(len(wave)) - 1)
    low = int(index.min())
    return mel_frames(wave, low, int(index.max()) + 1)[:, index - low].transpose(1, 0, 2)
