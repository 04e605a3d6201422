"""A dial looked at again: several cuts of it, and the key points on which they agree.

One look may take a counterweight for the tip or a second hand for the minute hand; another one,
turned and cut a little differently, seldom makes the same mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Image = NDArray[np.uint8]
Keys = NDArray[np.float64]

SIDE_PX = 168  # dials are learned at this size four times as often as at the full one
# side of the cut in radii of the dial's marks (twice that), and a turn in degrees
LOOKS: tuple[tuple[float, float], ...] = (
    (1.4, 0.0), (1.2, 3.0), (1.3, -3.0), (1.5, 4.0), (1.6, -4.0), (1.35, 8.0),
)  # fmt: skip
_ALIKE = 0.12  # of the distance from the centre to the first mark
_FAR = 0.4


@dataclass(frozen=True)
class Cut:
    """A square cut out of a frame; `to_frame` maps its pixels back, ``(2, 3) float64``."""

    image_hwc: Image
    to_frame: NDArray[np.float64]

    def in_frame(self, points_xy: Sequence[tuple[float, float]]) -> Keys:
        """Points of the cut in pixels of the frame, ``(n, 2)``."""
        points = np.array(points_xy, np.float64)
        return np.asarray(points @ self.to_frame[:, :2].T + self.to_frame[:, 2])


def cuts_around(image_hwc: Image, keys_xy: Keys) -> list[Cut]:
    """The looks at a dial whose key points are about known.

    Args:
        image_hwc: the frame as it was given, ``(H, W, 3) uint8``.
        keys_xy: ``(5, 2)``: the centre first, then three marks, in pixels of the frame.

    Returns:
        One cut a look; none where the dial is smaller than the network's patches.
    """
    center = keys_xy[0]
    reach_px = float(np.median(np.linalg.norm(keys_xy[1:4] - center, axis=1)))
    if reach_px < 6:
        return []
    return [_cut(image_hwc, center, reach_px * closer, turn_deg) for closer, turn_deg in LOOKS]


def _cut(image_hwc: Image, center_xy: Keys, half_px: float, turn_deg: float) -> Cut:
    scale = SIDE_PX / (2 * half_px)
    around = (float(center_xy[0]), float(center_xy[1]))
    matrix = np.asarray(cv2.getRotationMatrix2D(around, turn_deg, scale), np.float64)
    matrix[:, 2] += SIDE_PX / 2 - center_xy
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    gray = (127.0, 127.0, 127.0)
    cut = cv2.warpAffine(image_hwc, matrix, (SIDE_PX, SIDE_PX), flags=how, borderValue=gray)
    return Cut(np.asarray(cut, np.uint8), np.asarray(cv2.invertAffineTransform(matrix)))


def as_batch(cuts: Sequence[Cut]) -> Tensor:
    """``(n, 3, SIDE_PX, SIDE_PX) float32`` in -1..1, as the network takes it."""
    stacked = torch.from_numpy(np.stack([cut.image_hwc for cut in cuts]))
    return stacked.permute(0, 3, 1, 2).float() / 127.5 - 1


def agreed(looks: Sequence[Keys]) -> tuple[Keys, int]:
    """What most looks say: the mean of those near the one that is nearest to all others.

    Args:
        looks: one or more ``(5, 2)``.

    Returns:
        The key points, and how many looks they are the mean of.
    """
    reach_px = max(1.0, float(np.linalg.norm(looks[0][1] - looks[0][0])))
    apart = np.array(
        [[np.linalg.norm(one - other, axis=1) / reach_px for other in looks] for one in looks]
    )
    middle = int(np.minimum(apart, _FAR).sum((1, 2)).argmin())
    near = [look for look, away in zip(looks, apart[middle], strict=True) if away.max() < _ALIKE]
    return np.asarray(np.mean(near, 0)), len(near)
