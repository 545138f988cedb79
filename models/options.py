"""What an engine or a renderer asks the artist for, told without ComfyUI: the loaders turn it into inputs
that only its own menu entry shows, checked before `load` sees them."""

from dataclasses import dataclass
from typing import Any

from .face_motion.emotion_names import EMOTIONS
from .weights.published import published_file


@dataclass(frozen=True, kw_only=True)
class Option:
    """One input. id: its name in workflows. tooltip: a plain sentence with units. advanced: folded away at first."""

    id: str
    tooltip: str
    default: Any
    advanced: bool = True

    def __post_init__(self) -> None:
        if not self.id.isidentifier():
            raise ValueError(f"an option is called {self.id!r}; letters, digits and _ make its name.")


@dataclass(frozen=True, kw_only=True)
class Number(Option):
    """A slider from low to high."""

    default: float
    low: float
    high: float
    step: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self)


@dataclass(frozen=True, kw_only=True)
class Whole(Option):
    """A whole number from low to high."""

    default: int
    low: int
    high: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self)


@dataclass(frozen=True, kw_only=True)
class Switch(Option):
    """On or off."""

    default: bool = False


@dataclass(frozen=True, kw_only=True)
class Text(Option):
    """A line of text."""

    default: str = ""


@dataclass(frozen=True, kw_only=True)
class Choice(Option):
    """A menu of `choices` and of the files in ComfyUI's model folder `folder`, if one is named; it starts
    with the first choice."""

    choices: tuple[str, ...]
    default: Any = None
    folder: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.choices:
            raise ValueError(f"option {self.id} has no choices; a menu needs one to start with.")
        object.__setattr__(self, "default", self.choices[0] if self.default is None else self.default)
        if self.default not in self.choices:
            raise ValueError(f"option {self.id} starts with {self.default!r}, which is none of its choices.")


@dataclass(frozen=True, kw_only=True)
class Mood(Choice):
    """The menu of emotions, which knows them by other names too."""

    choices: tuple[str, ...] = EMOTIONS


@dataclass(frozen=True, kw_only=True)
class File(Option):
    """A menu of the files in a weight's folder, which starts with the published one.

    key: of models/weights/published.py, with "/animal" for the edition for animals. unless: the socket that takes
    the file's place when something is connected to it.
    """

    key: str
    default: Any = None
    unless: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "default", published_file(self.key)[1])


@dataclass(frozen=True, kw_only=True)
class Socket(Option):
    """An input for what another node makes; None where nothing is connected. io_type: ComfyUI's name of it."""

    default: None = None
    advanced: bool = False
    io_type: str


@dataclass(frozen=True, kw_only=True)
class Motion(Socket):
    """A socket for a FACE_MOTION."""

    io_type: str = "FACE_MOTION"


@dataclass(frozen=True, kw_only=True)
class Sampler(Socket):
    """A socket for a MOTION_SAMPLER."""

    io_type: str = "MOTION_SAMPLER"


def check_range(option: Number | Whole) -> None:
    """ValueError unless the default lies in the option's range."""
    if not option.low <= option.default <= option.high:
        raise ValueError(
            f"option {option.id} starts with {option.default:g}, which is not from {option.low:g} to {option.high:g}."
        )
