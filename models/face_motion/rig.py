"""The linear rig between named controls and LivePortrait's implicit-keypoint expression, in both directions.

Directions of jaw, pucker, stretch, smile, brow, lids and gaze are the ones that LivePortrait publishes for its sliders
(src/gradio_pipeline.py, MIT). `mouthClose`, `mouthRollLower` and `teethShow` are ours, since it has no slider
for them: they move the lip keypoints that its jaw and smile sliders move, in ways that no sum of published
directions gives.

The brow slider bends at zero, so browInnerUp has two rows: one for raising and one for the furrow. All 13
rows are linearly independent, so the least-squares inverse recovers every control exactly from an expression
that the rig made, the brow's sign included. The inverse is linear as well: whatever sums, scales or averages
expressions in time does the same to the controls that it finds, which is why operations can keep both views
equal. Of an expression from elsewhere the rig shows only a part;
there mouthClose, teethShow, gazeY and the blinks are the least certain, because they share keypoints: noise
of 0.002 in the keypoints is 0.28 to 0.40 of these controls, and 0.09 of jawOpen.

Eyes: keypoints 11 and 13 belong to one eye, 15 and 16 to the other. LivePortrait's wink slider moves 11 and 13, and the
report of a user calls that "the left eye" (its issue 398), which we take as the left of the picture: the
subject's right eye, hence eyeBlinkRight. Only a picture made with the published weights can prove it.
"""

import torch
from torch import Tensor

CONTROLS: tuple[str, ...] = (
    "jawOpen", "mouthClose", "mouthPucker", "mouthStretch", "mouthRollLower", "teethShow",
    "eyeBlinkLeft", "eyeBlinkRight", "gazeX", "gazeY", "browInnerUp", "mouthSmile",
)  # fmt: skip
BROW = CONTROLS.index("browInnerUp")
SIGNED = ("gazeX", "gazeY", "browInnerUp", "mouthSmile")  # -1..1; every other control is 0..1
FURROW_NAME = "browFurrow"  # the rig's last row
X, Y, Z = range(3)

# control at 1.0 -> {(keypoint, axis): displacement in LivePortrait keypoint units}
DIRECTIONS: dict[str, dict[tuple[int, int], float]] = {
    "jawOpen": {(19, Y): 0.045, (19, Z): 0.0045, (17, Y): -0.0045},  # 45 units of "aaa"
    "mouthClose": {(19, Y): -0.012, (17, Y): 0.008, (17, Z): 0.004, (19, Z): 0.004},
    "mouthPucker": {(14, Y): 0.010, (3, Y): -0.005, (7, Y): -0.005, (17, Z): -0.005},  # 10 units of "woo"
    "mouthStretch": {(20, Z): -0.008, (20, Y): -0.008, (14, Y): -0.008},  # 8 units of "eee"
    "mouthRollLower": {(19, Y): -0.004, (19, Z): 0.008, (6, Z): 0.003},
    "teethShow": {(17, Y): -0.006, (12, Y): 0.004},
    "eyeBlinkLeft": {(15, Y): 0.018, (16, Y): -0.0054},  # 18 units of "lids", one eye
    "eyeBlinkRight": {(11, Y): 0.018, (13, Y): -0.0054},
    "gazeX": {(11, X): 0.01275, (15, X): 0.01275},  # 15 units, mean of the two published eye factors
    "gazeY": {(11, Y): -0.015, (15, Y): -0.015},
    "browInnerUp": {(1, Y): 0.012, (2, Y): -0.012},  # 12 units, raised
    "mouthSmile": {
        (20, Y): -0.010, (14, Y): -0.020, (17, Y): 0.0065, (17, Z): 0.003,
        (13, Y): -0.00275, (16, Y): -0.00275, (3, Y): -0.0035, (7, Y): -0.0035,
    },
}  # fmt: skip
# browInnerUp at -1 is the brow slider at -8.
FURROW: dict[tuple[int, int], float] = {(1, X): 0.008, (2, X): -0.008, (1, Y): -0.0024, (2, Y): 0.0024}


def _row(direction: dict[tuple[int, int], float]) -> Tensor:
    row = torch.zeros(21, 3)
    for (keypoint, axis), amount in direction.items():
        row[keypoint, axis] = amount
    return row.reshape(63)


def rig_matrix() -> Tensor:
    """[13,63]: one row per control in the order of CONTROLS, then the furrow (browInnerUp below zero)."""
    return torch.stack([_row(DIRECTIONS[name]) for name in CONTROLS] + [_row(FURROW)])


def _split_brow(controls: Tensor) -> Tensor:
    furrow = -controls[:, BROW : BROW + 1].clamp(max=0)
    raised = controls.clone()
    raised[:, BROW] = controls[:, BROW].clamp(min=0)
    return torch.cat([raised, furrow], 1)


def controls_to_expression(controls: Tensor) -> Tensor:
    """[N,12] -> [N,21,3] keypoint deformation; linear but for the sign of browInnerUp."""
    return (_split_brow(controls) @ rig_matrix()).reshape(-1, 21, 3)


def expression_to_controls(expression: Tensor) -> Tensor:
    """[N,21,3] -> [N,12], the least-squares inverse; exact for what `controls_to_expression` made."""
    inverse = torch.linalg.pinv(rig_matrix().double()).float()
    found = expression.reshape(-1, 63) @ inverse
    controls = found[:, : len(CONTROLS)].clone()
    controls[:, BROW] -= found[:, len(CONTROLS)]
    return controls


def tied(expression: Tensor, controls: Tensor) -> Tensor:
    """`expression` [N,21,3] with the part that the rig sees replaced, so that its inverse gives `controls` [N,12]."""
    return (
        expression
        + controls_to_expression(controls)
        - controls_to_expression(expression_to_controls(expression))
    )
