"""What the shipped workflows hold; tools/make_workflows.py draws them in the page."""

from . import actalker, built_in, engines, fantasytalking, liveportrait, motion, swaps
from .parts import Draft

DRAFTS: dict[str, Draft] = {
    **built_in.DRAFTS, **motion.DRAFTS, **swaps.DRAFTS, **engines.DRAFTS, **liveportrait.DRAFTS,
    **fantasytalking.DRAFTS, **actalker.DRAFTS,
}  # fmt: skip
