"""Ready expressions for the editor, as values of its sliders; what is not named is 0."""

from collections.abc import Mapping

PRESETS: dict[str, Mapping[str, float]] = {
    "smile": {"smile": 0.8, "eyebrow": 2.0},
    "grin": {"smile": 1.1, "aaa": 14.0, "eee": 4.0, "wink_left": 3.0, "wink_right": 3.0, "eyebrow": 4.0},
    "wink": {"smile": 0.5, "wink_left": 24.0, "eyebrow": 3.0, "roll": 3.0},
    "surprised": {"aaa": 38.0, "woo": 5.0, "eyebrow": 14.0, "pitch": -2.0},
    "sad": {
        "smile": -0.3,
        "eyebrow": 5.0,
        "pupil_y": -7.0,
        "wink_left": 4.0,
        "wink_right": 4.0,
        "pitch": 6.0,
    },
    "angry": {"smile": -0.25, "eee": 3.0, "eyebrow": -9.0, "wink_left": 3.0, "wink_right": 3.0, "pitch": 4.0},
    "kiss": {"woo": 13.0, "wink_left": 18.0, "wink_right": 18.0, "eyebrow": 2.0},
    "thinking": {"woo": 4.0, "smile": -0.1, "pupil_x": 10.0, "pupil_y": 9.0, "eyebrow": 6.0, "roll": -4.0},
    "asleep": {"aaa": 5.0, "wink_left": 24.0, "wink_right": 24.0, "eyebrow": -1.0, "pitch": 8.0, "roll": 4.0},
}
