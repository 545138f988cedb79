"""Where the nodes of a drawn workflow go: in columns, under each other, with frames around what belongs together.

A draft's places say only the order: what has the same x stands in one column, what is in a frame stays in it. The
sizes are those that the page really needs, with results shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

GAP = 76  # pixels between the nodes of a column, under which titles stand
TITLE = 30  # of a node, above its place
FRAME_TITLE, FRAME_EDGE, FRAME_GAP = 50, 20, 30
FRAME_FOOT = 60  # room for the mark that the page hangs under a node in trouble
START = 20


@dataclass(frozen=True)
class Rect:
    """x, y: the upper left corner in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies in it."""
        return self.x <= x <= self.right and self.y <= y <= self.bottom

    def meets(self, other: "Rect") -> bool:
        """Whether the two have more than an edge in common."""
        return (
            self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom
        )


def arranged(
    hints: Mapping[str, Rect], needed: Mapping[str, tuple[float, float]], frames: Sequence[Rect]
) -> tuple[dict[str, Rect], list[Rect]]:
    """Places of all boxes (nodes and notes) and of the frames around them.

    hints: where the draft puts each box; needed: its width and height, without its title. A box whose hint is wider
    than its column runs over the columns that its hint covers.
    """
    columns = sorted({hint.x for hint in hints.values()})
    spans = {
        name: [at for at in columns if at == hint.x or hint.x < at < hint.right]
        for name, hint in hints.items()
    }
    groups = grouped(hints, frames)
    left = column_places(columns, spans, needed)
    placed: dict[str, Rect] = {}
    drawn: dict[int, Rect] = {}
    floor = dict.fromkeys(columns, float(START))  # below everything that is placed, column by column
    for number, members in groups:
        covered = sorted({at for name in members for at in spans[name]})
        framed = number is not None
        top = max(floor[at] for at in between(columns, covered))
        heights = dict.fromkeys(columns, top + (FRAME_TITLE if framed else 0))
        for name in sorted(members, key=lambda name: hints[name].y):
            mine = spans[name]
            y = max(heights[at] for at in mine) + TITLE
            width = left[mine[-1]][1] - left[mine[0]][0]
            placed[name] = Rect(
                left[mine[0]][0], y, width if len(mine) > 1 else needed[name][0], needed[name][1]
            )
            for at in mine:
                heights[at] = y + needed[name][1] + GAP - TITLE
        bottom = max(heights[at] for at in covered) - (GAP - TITLE)
        if framed:
            x = left[covered[0]][0] - FRAME_EDGE
            bottom += FRAME_FOOT
            drawn[number] = Rect(x, top, left[covered[-1]][1] + FRAME_EDGE - x, bottom - top)
        for at in between(columns, covered):
            floor[at] = bottom + FRAME_GAP
    return placed, [drawn.get(number, frame) for number, frame in enumerate(frames)]


def grouped(hints: Mapping[str, Rect], frames: Sequence[Rect]) -> list[tuple[int | None, list[str]]]:
    """The boxes of each frame, and each box that is in none by itself; from the top of the draft down."""
    inside: dict[int, list[str]] = {}
    found: list[tuple[float, int | None, list[str]]] = []
    for name, hint in hints.items():
        holders = [number for number, frame in enumerate(frames) if frame.holds(hint.x, hint.y)]
        if holders:
            smallest = min(holders, key=lambda number: frames[number].width * frames[number].height)
            inside.setdefault(smallest, []).append(name)
        else:
            found.append((hint.y, None, [name]))
    found += [(frames[number].y, number, names) for number, names in inside.items()]
    return [(number, names) for _, number, names in sorted(found, key=lambda entry: entry[0])]


def between(columns: Sequence[float], covered: Sequence[float]) -> list[float]:
    """All columns from the first to the last that are covered."""
    return [at for at in columns if covered[0] <= at <= covered[-1]]


def column_places(
    columns: Sequence[float], spans: Mapping[str, list[float]], needed: Mapping[str, tuple[float, float]]
) -> dict[float, tuple[float, float]]:
    """Left and right edge of every column: as wide as the widest box that stands in it alone."""
    places, x = {}, float(START + FRAME_EDGE)
    for at in columns:
        width = max([needed[name][0] for name, span in spans.items() if span == [at]], default=200.0)
        places[at] = (x, x + width)
        x += width + 2 * FRAME_EDGE + FRAME_GAP
    return places


def overlaps(boxes: Mapping[str, Rect]) -> list[tuple[str, str]]:
    """Pairs of boxes, titles and all, that cover each other."""
    full = {name: replace(box, y=box.y - TITLE, height=box.height + TITLE) for name, box in boxes.items()}
    names = sorted(full)
    return [
        (one, two) for at, one in enumerate(names) for two in names[at + 1 :] if full[one].meets(full[two])
    ]
