"""What is tried."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One file for one reader.

    `kept`: it must be read, with tensor "a" as 0, 1, 2; otherwise both content and a sentence are right.
    """

    kind: str
    name: str  # of the file, perhaps after a word and a slash
    data: bytes
    reader: str
    kept: bool = False
