"""Fields of a motion as any pack may give them: tensors, NumPy arrays or lists, by name."""

from collections.abc import Collection, Mapping
from fractions import Fraction
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from .frame_rate import checked_rate, rate_of
from .rig import CONTROLS, controls_to_expression, expression_to_controls

FACTS = {
    "absolute": "a set of groups",
    "source": "a mapping",
    "absolute_share": "a mapping from groups to numbers",
}


def frame_fields(given: Any, known: Collection[str]) -> dict[str, Any]:
    """What a FaceFrame is made of; ValueError says what is wrong."""
    check_fields("a face", given, known)
    expression, controls = both_views(given)
    found: dict[str, Any] = {
        name: numbers(name, given[name]) for name in ("pose", "translation", "scale") if name in given
    }
    if "scale" in found:
        if found["scale"].numel() != 1:
            raise ValueError(
                f"face motion: the scale of a face has shape {tuple(found['scale'].shape)}; one number is needed."
            )
        found["scale"] = float(found["scale"])
    return {**found, "expression": expression, "controls": controls}


def motion_fields(given: Any, known: Collection[str]) -> dict[str, Any]:
    """What a FaceMotion is made of, with the neutral value of what is missing; ValueError says what is wrong."""
    check_fields("a face motion", given, known)
    if "fps" not in given:
        raise ValueError("a face motion has no fps; frames per second are needed, best as a Fraction.")
    expression, controls = both_views(given)
    count = len(expression) if expression.ndim else 0
    neutral = {
        "pose": torch.zeros(count, 3),
        "translation": torch.zeros(count, 3),
        "scale": torch.ones(count),
    }
    tracks = {name: numbers(name, given[name]) if name in given else still for name, still in neutral.items()}
    valid = (
        numbers("valid", given["valid"], torch.bool)
        if "valid" in given
        else torch.ones(count, dtype=torch.bool)
    )
    fps = checked_rate(given["fps"]) if isinstance(given["fps"], Fraction) else rate_of(given["fps"])
    facts = {name: facts_of(name, given[name]) for name in FACTS if name in given}
    reference = {"reference": given["reference"]} if "reference" in given else {}
    return {
        **tracks,
        **facts,
        **reference,
        "expression": expression,
        "controls": controls,
        "valid": valid,
        "fps": fps,
    }


def facts_of(name: str, value: Any) -> Any:
    """A field that is no track; ValueError if it is of another kind."""
    if (
        name == "absolute"
        and isinstance(value, Collection)
        and all(isinstance(group, str) for group in value)
    ):
        return frozenset([value] if isinstance(value, str) else value)
    if name == "source" and isinstance(value, Mapping):
        return dict(value)
    if (
        name == "absolute_share"
        and isinstance(value, Mapping)
        and all(isinstance(part, Real) for part in value.values())
    ):
        return dict(value)
    raise ValueError(f"face motion: {name} is {a_kind(value)}; {FACTS[name]} is needed.")


def a_kind(value: Any) -> str:
    """What stands in the place of numbers or facts, in two words."""
    name = type(value).__name__
    return "empty" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def check_fields(what: str, fields: Any, known: Collection[str]) -> None:
    """ValueError unless `fields` is a mapping with one of the two views of the face, and no name but those."""
    if not isinstance(fields, Mapping):
        raise ValueError(f"{what} is {a_kind(fields)}; a mapping of its fields is needed.")
    if unknown := [str(name) for name in fields if name not in known]:
        raise ValueError(f"{what} has no field {', '.join(unknown)}; there are {', '.join(known)}.")
    if "expression" not in fields and "controls" not in fields:
        raise ValueError(
            f"{what} has neither expression nor controls; one of them is needed, the other follows from it."
        )


def numbers(name: str, value: Any, kind: torch.dtype = torch.float32) -> Tensor:
    """Numbers as a tensor of `kind` on the CPU; ValueError if they are none."""
    try:
        tensor = torch.as_tensor(value).detach().cpu()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ValueError(f"face motion: {name} is {a_kind(value)}; numbers are needed.") from None
    if (
        tensor.is_complex()
        or tensor.layout != torch.strided
        or (tensor.dtype == torch.bool) != (kind == torch.bool)
    ):
        raise ValueError(f"face motion: {name} holds {tensor.dtype} values; {kind} is needed.")
    return tensor.to(kind)


def both_views(fields: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Expression [...,21,3] and controls [...,12]; the one that is missing follows from the other by the rig."""
    expression = numbers("expression", fields["expression"]) if "expression" in fields else None
    controls = all_controls(fields["controls"]) if "controls" in fields else None
    if expression is None:
        assert controls is not None  # check_fields has asked for one of the two
        if controls.shape[-1:] != (len(CONTROLS),):
            raise ValueError(
                f"face motion: controls has shape {tuple(controls.shape)}; (frames, {len(CONTROLS)}) is needed."
            )
        return controls_to_expression(controls.reshape(-1, len(CONTROLS))).reshape(
            *controls.shape[:-1], 21, 3
        ), controls
    if controls is None:
        if expression.shape[-2:] != (21, 3):
            raise ValueError(
                f"face motion: expression has shape {tuple(expression.shape)}; (frames, 21, 3) is needed."
            )
        found = expression_to_controls(expression.reshape(-1, 21, 3))
        return expression, found.reshape(*expression.shape[:-2], len(CONTROLS))
    return expression, controls


def all_controls(value: Any) -> Tensor:
    """Controls [...,12] from all of them in their order, or from some by name, each [...]; the others are 0."""
    if not isinstance(value, Mapping):
        return numbers("controls", value)
    if unknown := [str(name) for name in value if name not in CONTROLS]:
        raise ValueError(
            f"face motion: there is no control {', '.join(unknown)}; there are {', '.join(CONTROLS)}."
        )
    tracks = {name: numbers(name, track) for name, track in value.items()}
    if len({track.shape for track in tracks.values()}) != 1:
        raise ValueError("face motion: controls by name need one track of numbers each, all of one length.")
    still = torch.zeros_like(next(iter(tracks.values())))
    return torch.stack([tracks.get(name, still) for name in CONTROLS], -1)
