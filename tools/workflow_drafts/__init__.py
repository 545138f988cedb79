"""What the shipped workflows hold; tools/make_workflows.py draws them in the page."""

from pathlib import Path

from . import actalker, built_in, engines, fantasytalking, films, liveportrait, motion, swaps
from .parts import Draft

DRAFTS: dict[str, Draft] = {
    **built_in.DRAFTS, **motion.DRAFTS, **swaps.DRAFTS, **engines.DRAFTS, **films.DRAFTS,
    **liveportrait.DRAFTS,
    **fantasytalking.DRAFTS, **actalker.DRAFTS,
}  # fmt: skip

SLUGS = {draft.name: slug for slug, draft in DRAFTS.items()}


def shipped(slug: str) -> Path:
    """The file of a workflow."""
    return Path(__file__).resolve().parents[2] / "workflows" / f"{DRAFTS[slug].name}.json"
