"""What the mouth's controls do around the lips, found on a coarse lattice: there it is smooth."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...face_motion import CONTROLS
from ...media.pixels import Box
from .mouth import Mouth, MouthShape, is_active, mouth_map
from .sampling import base_grid, stretched

STEPS = 20  # places of the lattice in the mouth's width, two pixels apart at least
SIDE = 0.58  # mouth widths from the middle, beyond the corners, within which the map has edges
ROOM = 0.08  # mouth widths over and under the lips' outer edges
MOVERS = [CONTROLS.index(name) for name in CONTROLS if name.startswith(("jaw", "mouth", "teeth"))]


@dataclass(frozen=True)
class Lattice:
    """box: the part of the head's rectangle, in whole pixels of the picture, that the mouth can change; places
    [1,2,h,w]: pixels `step` apart over it; nodes [1,h,w,2]: the same in -1..1 from first to last pixel of the head's
    rectangle."""

    box: Box
    step: int
    places: Tensor
    nodes: Tensor


@dataclass(frozen=True)
class MouthField:
    """Displacement [n,2,h,w] in pixels at a lattice's places; lips: rows and columns of the lattice's box that hold
    all edges, in any frame."""

    lattice: Lattice
    displacement: Tensor
    lips: tuple[slice, slice]

    def rows(self, rows: slice) -> Tensor:
        """Displacement [n,2,rows,w] in some rows of the lattice's box."""
        box, (tall, wide) = self.lattice.box, self.displacement.shape[2:]
        step = self.lattice.step
        size = ((tall - 1) * step + 1, (wide - 1) * step + 1)
        return stretched(self.displacement, size, rows)[..., : box[2] - box[0]]


def make_lattice(mouth: Mouth, head: Box) -> Lattice | None:
    """The lattice of a mouth within a head's rectangle; None where they do not meet."""
    box = (max(mouth.box[0], head[0]), max(mouth.box[1], head[1]),
           min(mouth.box[2], head[2]), min(mouth.box[3], head[3]))  # fmt: skip
    if box[0] >= box[2] or box[1] >= box[3]:
        return None
    step = max(2, int(mouth.frame.unit / STEPS))
    wide, tall = (-(-(box[side + 2] - box[side] - 1) // step) + 2 for side in (0, 1))
    first = base_grid((0, 0, wide, tall), torch.device("cpu")) - 0.5
    places = first * step + torch.tensor([box[0] + 0.5, box[1] + 0.5]).reshape(1, 2, 1, 1)
    span = torch.tensor([max(head[2] - head[0] - 1, 1), max(head[3] - head[1] - 1, 1)])
    nodes = 2 * (places.movedim(1, -1) - torch.tensor([head[0] + 0.5, head[1] + 0.5])) / span - 1
    return Lattice(box, step, places, nodes)


def mouth_field(mouth: Mouth, lattice: Lattice | None, head: Tensor, controls: Tensor) -> MouthField | None:
    """What controls [n,K] do on top of the head's displacement [n,2,GRID,GRID], all on the CPU; None if nothing."""
    if lattice is None or not controls[:, MOVERS].any():
        return None
    nodes = lattice.nodes.expand(len(head), *lattice.nodes.shape[1:])
    moved = F.grid_sample(head, nodes, padding_mode="border", align_corners=True)
    x, y = (lattice.places + moved).unbind(1)
    if not is_active(mouth, *mouth.frame.to_local(x, y)).any():
        return None
    source_x, source_y, shape = mouth_map(mouth, x, y, controls)
    return MouthField(
        lattice, torch.stack([source_x - x, source_y - y], 1), lips_window(mouth, lattice, shape)
    )


def lips_window(mouth: Mouth, lattice: Lattice, shape: MouthShape) -> tuple[slice, slice]:
    """Rows and columns of the lattice's box with the lips of a shape [n,h,w] on the lattice in it."""
    upper, lower, outer_upper, outer_lower = mouth.curves
    gap = float((lower - upper).max())
    over = ROOM + 1.2 * float((upper - outer_upper).max()) + 0.5 * gap
    under = ROOM + 1.2 * float((outer_lower - lower).max()) + 0.5 * gap
    near = (shape.v > shape.upper - over) & (shape.v < shape.lower + under) & (shape.u.abs() < SIDE)
    near = near.any(0)
    sides = (lattice.box[3] - lattice.box[1], lattice.box[2] - lattice.box[0])
    found = (torch.nonzero(near.any(dim)).flatten().tolist() for dim in (1, 0))
    rows, columns = (
        slice(max(0, (at[0] - 1) * lattice.step), min((at[-1] + 1) * lattice.step + 1, side)) if at else slice(0, 0)
        for at, side in zip(found, sides, strict=True)
    )  # fmt: skip
    return rows, columns
