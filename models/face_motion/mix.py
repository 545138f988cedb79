"""Two motions in one: regions taken over, one after the other, changes laid on top.

A region means what the motion that it comes from means by it: changes from the portrait, or absolute values about a
reference.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .container import CONTROL_GROUPS, GROUPS, KEYPOINTS, TRACKS, FaceFrame, FaceMotion
from .rest import HEAD, as_absolute, as_changes, pinned, reference_of, rest_frame, turned_from
from .rotation import pose_degrees, rotation_matrix, slerp
from .time import slice_motion

Tracks = Mapping[str, Tensor]  # expression, controls, pose, translation, scale; a row for each frame


def blend(
    first: FaceMotion, second: FaceMotion, weight: Tensor | float, groups: Iterable[str] = GROUPS
) -> FaceMotion:
    """`first` with `groups` moved towards `second` by `weight` (0 to 1, one number or one per frame).

    Whatever portrait reads the result, by whatever rules: at 1 a group is what `second` alone would show, at 0 what
    `first` would, between them what lies between. Where weights change over time, though, two kinds of values (changes,
    absolute) meet as changes from their own rest. ValueError if rates or lengths differ.
    """
    check_same_rate(first, second)
    check_same_length(first, second)
    weight, chosen = one_per_frame(weight, len(first)), known_groups(groups)
    if not chosen or not weight.any():
        return replace(first)
    first, second, part = pinned(first), pinned(second), float(weight[0])
    if (weight != part).any():  # there is one reference for all frames, the first motion's
        first, second = alike(first, second, chosen)
        part = 0.0
    shares = {
        group: mean(first.share(group), second.share(group), part if group in chosen else 0.0)
        for group in GROUPS
    }
    reference = mixed_reference(first, second, part, chosen)
    tracks = mixed(vars(first), vars(second), weight, chosen - {"pose"})
    if "pose" in chosen:
        tracks["pose"] = mixed_pose(first, second, weight, reference)
    return replace(
        first, **tracks, valid=first.valid & (second.valid | (weight == 0)), source=credited(first, second),
        absolute=frozenset(group for group, share in shares.items() if share), absolute_share=shares,
        reference=reference if any(shares.values()) else first.reference,
    )  # fmt: skip


def concat(first: FaceMotion, second: FaceMotion, crossfade: int = 0) -> FaceMotion:
    """One after the other, the last `crossfade` frames of the first blended into the second's first ones.

    Groups that one gives as changes and the other as absolute values become changes from their rest.
    """
    check_same_rate(first, second)
    crossfade = max(0, min(crossfade, len(first), len(second)))
    first, second = alike(pinned(first), second, GROUPS)
    parts = [slice_motion(first, 0, len(first) - crossfade)]
    if crossfade:
        weight = (torch.arange(crossfade) + 0.5) / crossfade
        end = slice_motion(first, len(first) - crossfade, len(first))
        parts.append(blend(end, slice_motion(second, 0, crossfade), weight))
    parts.append(slice_motion(second, crossfade, len(second)))
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in TRACKS}
    return replace(first, **joined, source=credited(first, second))


def add(motion: FaceMotion, change: FaceMotion) -> FaceMotion:
    """A motion with the changes of another on top; ValueError if `change` is absolute or has other frames."""
    if change.absolute:
        raise ValueError(
            f"face motion: only changes can be added, but {', '.join(sorted(change.absolute))} are absolute."
        )
    check_same_rate(motion, change)
    check_same_length(motion, change)
    return replace(
        pinned(motion),
        expression=motion.expression + change.expression, controls=motion.controls + change.controls,
        pose=pose_degrees(rotation_matrix(change.pose) @ rotation_matrix(motion.pose)),
        translation=motion.translation + change.translation, scale=motion.scale * change.scale,
        valid=motion.valid & change.valid,
    )  # fmt: skip


def mixed(first: Tracks, second: Tracks, weight: Tensor, groups: Iterable[str]) -> dict[str, Tensor]:
    """The tracks of `first` with `groups` moved towards `second`: keypoints and controls each by their group."""
    result = {name: first[name].clone() for name in ("expression", "controls", *HEAD)}
    for group in groups:
        if group in HEAD:
            result[group] = torch.lerp(
                first[group], second[group], weight.reshape(-1, *[1] * (first[group].ndim - 1))
            )
        else:
            rows, columns = list(KEYPOINTS[group]), list(CONTROL_GROUPS[group])
            parts = first["expression"][:, rows], second["expression"][:, rows]
            result["expression"][:, rows] = torch.lerp(*parts, weight[:, None, None])
            parts = first["controls"][:, columns], second["controls"][:, columns]
            result["controls"][:, columns] = torch.lerp(*parts, weight[:, None])
    return result


def mixed_pose(first: FaceMotion, second: FaceMotion, weight: Tensor, reference: FaceFrame) -> Tensor:
    """[N,3] the turns from both motions' own rest mixed, about the mixed reference."""
    turn = slerp(turned_from(first, rest_frame(first)), turned_from(second, rest_frame(second)), weight)
    return (
        pose_degrees(rotation_matrix(turn) @ rotation_matrix(reference.pose))
        if reference.pose.any()
        else turn
    )


def mixed_reference(first: FaceMotion, second: FaceMotion, part: float, groups: set[str]) -> FaceFrame:
    """What the mixed values are about: the first's rest, in `groups` moved towards the second's by the same part."""
    start, end, weight = tracks_of(rest_frame(first)), tracks_of(rest_frame(second)), torch.tensor([part])
    frame = mixed(start, end, weight, groups - {"pose"})
    if "pose" in groups:
        frame["pose"] = slerp(start["pose"], end["pose"], weight)
    scale = float(frame.pop("scale"))
    return FaceFrame(**{name: track[0] for name, track in frame.items()}, scale=scale)


def tracks_of(frame: FaceFrame) -> dict[str, Tensor]:
    """A frame as tracks of one row."""
    return {name: torch.as_tensor(value, dtype=torch.float32)[None] for name, value in vars(frame).items()}


def alike(first: FaceMotion, second: FaceMotion, groups: Iterable[str]) -> tuple[FaceMotion, FaceMotion]:
    """Two motions whose `groups` are of one kind and, if absolute, about the first one's reference.

    Groups of different kinds become changes. Absolute lips keep their values about any reference, for portraits read
    them as they are unless they are told otherwise.
    """
    differing = {group for group in groups if first.share(group) != second.share(group)}
    first, second = as_changes(first, differing), as_changes(second, differing)
    moved, reference = (second.absolute & set(groups)) - {"lips"}, reference_of(first)
    about = as_absolute(as_changes(second, moved), moved, reference)
    return first, replace(about, absolute_share=second.absolute_share)


def mean(start: float, end: float, part: float) -> float:
    """The number that lies `part` of the way from `start` to `end`, which are met exactly."""
    return start if part == 0 else end if part == 1 else start + part * (end - start)


def credited(first: FaceMotion, second: FaceMotion) -> dict[str, Any]:
    """The first motion's facts, with the producers and licences of all that went into the second."""
    own, *others = credits(first)
    for other in credits(second):
        if other != own and other not in others:
            others.append(other)
    return {**first.source, "also_from": others} if others else dict(first.source)


def credits(motion: FaceMotion) -> list[dict[str, Any]]:
    """Producer and licence of a motion, then of what was mixed into it."""
    mixed_in = motion.source.get("also_from")
    own = {name: motion.source[name] for name in ("producer", "licence") if name in motion.source}
    return [own, *(mixed_in if isinstance(mixed_in, list) else [])]


def known_groups(groups: Iterable[str]) -> set[str]:
    """The groups as a set; ValueError for one that is none."""
    chosen = set(groups)
    if unknown := chosen - set(GROUPS):
        raise ValueError(f"face motion: unknown groups {sorted(unknown)}; there are {', '.join(GROUPS)}.")
    return chosen


def one_per_frame(weight: Tensor | float, frames: int) -> Tensor:
    """[frames] weights within 0 and 1; ValueError otherwise."""
    weight = torch.as_tensor(weight, dtype=torch.float32)
    if weight.ndim and tuple(weight.shape) != (frames,):
        raise ValueError(f"weight has shape {tuple(weight.shape)}, but there are {frames} frames.")
    if not ((weight >= 0) & (weight <= 1)).all():
        raise ValueError(
            f"weight reaches from {float(weight.min()):g} to {float(weight.max()):g}; 0 to 1 is possible."
        )
    return weight.expand(frames)


def check_same_rate(first: FaceMotion, second: FaceMotion) -> None:
    """ValueError that names both frame rates if they differ."""
    if first.fps != second.fps:
        raise ValueError(
            f"one motion has {float(first.fps):g} frames per second, the other {float(second.fps):g}. Make "
            "both at one rate."
        )


def check_same_length(first: FaceMotion, second: FaceMotion) -> None:
    """ValueError that names both lengths if they differ."""
    if len(first) != len(second):
        raise ValueError(
            f"one motion has {len(first)} frames, the other {len(second)}. Make them equally long."
        )
