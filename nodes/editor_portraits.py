"""The portraits that expression editors may draw beside a run: a few, small, each known by a key that only its run
told."""

import io as streams
import threading
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from ..models.face.close_up import close_up, face_square
from ..models.face.weights import load_person_segmenter
from ..models.face_motion import FaceFrame, FaceMotion
from ..models.liveportrait.renderer import LivePortraitFeatures
from ..models.media.pixels import Box, rounded_bytes
from ..models.portrait import FaceLandmarks478, Portrait
from ..models.rendering import drawn_part, render_parts
from ..models.threads import one_thread
from .portrait import PreparedPortrait

LONGEST_SIDE = 512  # pixels of a frame for the page
QUICK_SIDE = 256  # of one that keeps up with a hand on a busy machine
MOST = 8  # portraits; of about 12 MB each
QUALITY = 88
AT_ONCE = "draws_at_once"  # of a renderer without networks: it may draw while a prompt runs


@dataclass(frozen=True)
class Drawable:
    """A face alone, ready to be drawn; window: what of it is shown."""

    prepared: PreparedPortrait
    window: Box


@dataclass(frozen=True)
class KeptPortrait:
    """What one editor's last run had.

    close_ups: the face in its full and in its quick size; none where drawing needs networks.
    picture: the face as the run drew it, JPEG. copied: slider values that were measured in a photo.
    """

    key: str
    node: str
    source: "weakref.ref[PreparedPortrait]"
    close_ups: tuple[Drawable, ...]
    picture: bytes
    copied: Mapping[str, float]


class KeptPortraits:
    """The newest few portraits by key. A node that runs again with the same portrait keeps its key."""

    def __init__(self, most: int = MOST):
        self._most, self._lock = most, threading.Lock()
        self._kept: OrderedDict[str, KeptPortrait] = OrderedDict()

    def get(self, key: str) -> KeptPortrait | None:
        """The portrait of a key, which then counts as the newest; None where it is not kept any more."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(
        self, node: str, prepared: PreparedPortrait, drawn: Tensor, copied: Mapping[str, float]
    ) -> KeptPortrait:
        """Keep what a run of a node had: its portrait, the picture [H,W,3] that it drew, and what it copied."""
        known = self._of(node, prepared)
        if known is None:
            kept = kept_portrait(node, prepared, drawn, copied)
        else:
            kept = replace(known, picture=jpeg(face_of(drawn, prepared.portrait)), copied=copied)
        with self._lock:
            self._kept[kept.key] = kept
            self._kept.move_to_end(kept.key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return kept

    def _of(self, node: str, prepared: PreparedPortrait) -> KeptPortrait | None:
        with self._lock:
            return next(
                (one for one in self._kept.values() if one.node == node and one.source() is prepared), None
            )


KEPT = KeptPortraits()


def kept_portrait(
    node: str, prepared: PreparedPortrait, drawn: Tensor, copied: Mapping[str, float]
) -> KeptPortrait:
    """A portrait under a new key, its close-ups prepared by its own renderer."""
    sides = (LONGEST_SIDE, QUICK_SIDE) if getattr(prepared.renderer, AT_ONCE, False) else ()
    close_ups = tuple(drawable(prepared, side) for side in sides)
    picture = jpeg(face_of(drawn, prepared.portrait))
    return KeptPortrait(uuid.uuid4().hex, node, weakref.ref(prepared), close_ups, picture, copied)


def drawable(prepared: PreparedPortrait, side: int) -> Drawable:
    """A portrait's face in a square of at most `side` pixels; the person's mask is made anew, whoever gave it."""
    renderer, portrait = prepared.renderer, prepared.portrait
    near = close_up(portrait.image, portrait.face.points, side)
    face, mask = FaceLandmarks478(near.points), load_person_segmenter().mask(near.picture)
    made = Portrait.of(renderer.prepare(near.picture, face, mask), near.picture, face, renderer.id)
    return Drawable(PreparedPortrait(renderer, replace(made, policy=portrait.policy)), near.window)


def draw_close_up(close_up: Drawable, motion: FaceMotion) -> bytes:
    """One frame of a face with a motion of one frame, JPEG of at most LONGEST_SIDE pixels; computed on the CPU."""
    renderer, portrait = close_up.prepared.renderer, close_up.prepared.portrait
    # nothing in these changes is absolute, so what they are relative to need not be looked for
    still, cpu = replace(motion, reference=FaceFrame()), torch.device("cpu")
    with one_thread(cpu):
        part = next(render_parts(renderer, portrait, still, cpu))[0]
        return jpeg(seen(portrait.image, drawn_part(renderer, portrait), part, close_up.window))


def seen(image: Tensor, box: Box, part: Tensor, window: Box) -> Tensor:
    """The window of a picture [H,W,3] with a drawn part [h,w,3] at its place; no more of it is put together."""
    x0, y0, x1, y1 = window
    left, top, right, bottom = max(x0, box[0]), max(y0, box[1]), min(x1, box[2]), min(y1, box[3])
    inner = part[
        max(top - box[1], 0) : max(bottom - box[1], 0), max(left - box[0], 0) : max(right - box[0], 0)
    ]
    if (left, top, right, bottom) == window or not inner.numel():
        return inner if inner.numel() else image[y0:y1, x0:x1]
    whole = image[y0:y1, x0:x1].clone()
    whole[top - y0 : bottom - y0, left - x0 : right - x0] = inner
    return whole


def face_of(picture: Tensor, portrait: Portrait) -> Tensor:
    """The face's square of a drawn picture [H,W,3]; all of it where it shows the face alone already."""
    if isinstance(portrait.features, LivePortraitFeatures) and portrait.features.plan is None:
        return picture
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = face_square(portrait.face.points, height, width)
    return picture[y0:y1, x0:x1]


def jpeg(picture: Tensor) -> bytes:
    """[H,W,3] in 0..1 as JPEG of at most LONGEST_SIDE pixels a side."""
    image = Image.fromarray(rounded_bytes(picture).cpu().contiguous().numpy())
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    target = streams.BytesIO()
    image.save(target, "JPEG", quality=QUALITY)
    return target.getvalue()
