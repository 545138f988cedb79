"""What the shipped workflows hold; tools/make_workflows.py draws them in the page."""

from . import actalker, built_in, engines, fantasytalking, liveportrait, swaps
from .parts import Draft

DRAFTS: dict[str, Draft] = {
    **built_in.DRAFTS, **liveportrait.DRAFTS, **engines.DRAFTS, **fantasytalking.DRAFTS, **actalker.DRAFTS,
    **swaps.DRAFTS,
}  # fmt: skip
