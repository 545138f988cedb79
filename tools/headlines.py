"""The papers' main figures, and which command measures the same of films that somebody made with the published
weights."""

from dataclasses import dataclass

SYNC = "`run.py evaluate FILMS --with syncnet --official`"
BESIDE = "`run.py evaluate FILMS --reference REALS`"


@dataclass(frozen=True)
class Headline:
    """paper: its system and table. said: the figures. command: what measures them here; open: what is still different
    or missing."""

    paper: str
    said: str
    command: str
    open: str = ""


HEADLINES = (
    Headline(
        "KDTalker, table 1 (HDTF)", "LSE-C 7.326, LSE-D 7.548 (real films 8.243, 6.929)", SYNC,
        "the face boxes of the crop are the pack's own, not S3FD's",
    ),
    Headline(
        "KDTalker, table 1", "diversity 0.760 (real films 0.639)", "`run.py evaluate FILMS --with hopenet --official`",
        "boxes of the pack's detector for dlib's; 0.760 has no unit",
    ),
    Headline(
        "KDTalker, table 1", "CPBD 0.277 (real films 0.353)", "`run.py evaluate FILMS --sharpness-every 1`",
        "on whole frames of the same size",
    ),
    Headline(
        "KDTalker, table 1", "FID 9.756, CSIM 0.949",
        "`run.py evaluate FILMS --reference REALS --with inception arcface`",
        "its code for CSIM is not published; give all films in one call, then FID is of the whole set too",
    ),
    Headline(
        "KDTalker, table 1", "21.678 frames a second", "`run.py check --stages KDTalker`",
        "its row sound to film, on that machine, and the time of each stage",
    ),
    Headline(
        "KDTalker, repository", "beat alignment", "`run.py evaluate FILMS --official`",
        "landmarks of the pack's own mesh (MediaPipe's weights)",
    ),
    Headline(
        "ACTalker, table 1 (CelebV-HQ, RAVDESS)", "Sync-C 5.737 and 5.511, Sync-D 7.510 and 7.311", SYNC,
        "its script cuts the left half of each frame away first: give it films without a left half",
    ),
    Headline(
        "ACTalker, table 1", "FVD 230.125 and 190.125, FID 29.977 and 15.977",
        "`run.py evaluate FILMS --reference REALS --with inception i3d`",
        "its script counts I3D's channels as samples and time steps as dimensions: its FVD is no FVD of clips",
    ),
    Headline(
        "ACTalker, table 2 (VFHQ)", "LMD 0.14, PSNR 40.65, SSIM 0.94, LPIPS 0.24",
        "`run.py evaluate FILMS --reference REALS --with lpips --official`",
        "official repeats the wrap of its bytes; the unit of its LMD and its code of SSIM are not published",
    ),
    Headline(
        "ACTalker, table 2", "pose distance 20.32, expression similarity 0.57, ID similarity 8.64, smooth 99.48",
        "`run.py evaluate FILMS --reference REALS --with arcface --official`",
        "of the same kind, not of the same unit: those networks or their code are not published",
    ),
    Headline(
        "FantasyTalking, table 1 (tame, wild)", "Sync-C 4.226 and 3.154, Sync-D 9.251 and 9.689", SYNC,
    ),
    Headline(
        "FantasyTalking, table 1", "FID 27.695 and 43.137, FVD 301.173 and 483.108, IDC 0.9892 and 0.9754",
        "`run.py evaluate FILMS --reference REALS --with inception i3d arcface`",
        "which networks IDC and FVD took is not published",
    ),
    Headline(
        "FantasyTalking, table 1", "expression similarity, subject and background dynamics, aesthetics",
        BESIDE, "expression only; the others are networks of other projects and are not measured here",
    ),
    Headline(
        "Takin-ADA, table 2", "FID 27.429, CSIM 0.948 and 0.261, LPIPS 0.019 and 0.211",
        "`run.py evaluate FILMS --reference REALS --with inception arcface lpips`",
        "no weights were published, and no evaluation code",
    ),
    Headline("all four", "opinions of people (MOS, user studies)", "none", "a person has to look"),
)  # fmt: skip


def markdown_table() -> str:
    """All of them, for the documents."""
    rows = ["| paper | says | measured by `python3` and | still open |", "|---|---|---|---|"]
    rows += [f"| {one.paper} | {one.said} | {one.command} | {one.open} |" for one in HEADLINES]
    return "\n".join(rows)
