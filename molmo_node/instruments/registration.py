"""Where a profile's picture lies in this frame: a camera on a machine never quite stands still.

The frame is warped onto the reference patch by a guess, tracked points say how far the guess is
off, and RANSAC keeps the points that agree; the needle's own points fall out. The guess is the
place in the profile's picture; where that fails, SIFT features find the dial anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from molmo_node.instruments.pixels import Float32s, Floats, Gray, ImageRGB, gray_of, resized

WORK_SIDE_PX = 320
MOST_POINTS = 180
LEAST_INLIERS = 14
LEAST_SHARE = 0.33
LEAST_CORRELATION = 0.25
"""Measured on the shared set: another photo of the same gauge has a share of 0.46 and a
correlation of 0.37 or more, another gauge or scene 0.18 and 0.13 at most."""
SURE_CORRELATION = 0.7
INLIER_PX = 1.5
DARK_LEVEL = 100
MOST_DARK_POINTS = 1500
LOCAL_SIDE_PX = 25
QUIET_LEVEL = 12.0
"""Contrast below this stays weak, so that noise on a flat face is not evened up."""
SIFT_RATIO = 0.75
SIFT_INLIER_PX = 4.0
MOST_SQUEEZE = 2.0
SCALE_RANGE = (0.2, 5.0)
ROUNDS = 3
SETTLED_PX = 3.0
"""A last step this small leaves nothing for another round to find."""


@dataclass(frozen=True)
class Registration:
    """A map from the profile's picture to a frame, and how sure it is.

    Attributes:
        affine: ``(2, 3)``, profile pixels → frame pixels.
        inliers: points that agree, of `points` that were tracked.
        rms_px: of the inliers, in pixels of the frame.
        correlation: -1..1 between patch and frame after the map, local contrast taken out.
    """

    affine: Floats
    inliers: int
    points: int
    rms_px: float
    correlation: float

    @property
    def share(self) -> float:
        """Part of the points that agree."""
        return self.inliers / max(1, self.points)

    @property
    def is_trusted(self) -> bool:
        """Enough points agree, and the picture looks like the patch."""
        return (
            self.inliers >= LEAST_INLIERS
            and self.share >= LEAST_SHARE
            and self.correlation >= LEAST_CORRELATION
            and _is_camera_move(self.affine)
        )

    @property
    def is_certain(self) -> bool:
        """So good that no other guess can be better, such as one that is a tick further round."""
        return self.is_trusted and self.correlation >= SURE_CORRELATION


class Reference:
    """A patch ready to be found in frames.

    Args:
        patch: ``(H, W, 3) uint8, rgb8``, cut out of the profile's picture.
        offset_px: the patch's top-left corner in that picture.
        picture_size: that picture's (width, height).
    """

    def __init__(
        self, patch: ImageRGB, offset_px: tuple[int, int], picture_size: tuple[int, int]
    ) -> None:
        self.scale: float = min(1.0, WORK_SIDE_PX / max(patch.shape[:2]))
        self.picture_size = picture_size
        gray = resized(gray_of(patch), self.scale)
        self.even = _even(gray)
        # pixel centres: picture = (work + 0.5) / scale - 0.5 + offset
        shift = [0.5 / self.scale - 0.5 + o for o in offset_px]
        self.to_picture = np.array(
            [[1 / self.scale, 0, shift[0]], [0, 1 / self.scale, shift[1]]], dtype=np.float64
        )
        corners = cv2.goodFeaturesToTrack(self.even, MOST_POINTS, 0.02, 5)
        self.points = np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)
        self._gray = gray

    @cached_property
    def dark_points(self) -> Floats:
        """``(n, 2)``, places of print in pixels of the profile's picture: darker than around."""
        y, x = np.nonzero(self.even < DARK_LEVEL)
        every = max(1, len(x) // MOST_DARK_POINTS)
        points = np.column_stack([x, y])[::every].astype(np.float64)
        return _moved(points, self.to_picture)

    @cached_property
    def features(self) -> tuple[Floats, Float32s | None]:
        """SIFT key points in pixels of the profile's picture, and their descriptors."""
        points, descriptors = _sift(self._gray)
        return _moved(points, self.to_picture), descriptors

    def find(self, frame: ImageRGB) -> Registration | None:
        """The best map found into a frame, trusted or not; None if there was nothing to go by."""
        if len(self.points) < LEAST_INLIERS:
            return None
        gray = gray_of(frame)
        best: Registration | None = None
        for guess in self._guesses(gray):
            found = self._refined(gray, guess)
            if found and (best is None or found.correlation > best.correlation):
                best = found
            if best and best.is_certain:
                break
        return best

    def _guesses(self, gray: Gray) -> Iterator[Floats]:
        width_px, height_px = self.picture_size
        scale = gray.shape[1] / width_px
        if abs(gray.shape[0] / height_px / scale - 1) < 0.02:
            shift = 0.5 * scale - 0.5
            yield np.array([[scale, 0, shift], [0, scale, shift]])
        found = self._by_features(gray)
        if found is not None:
            yield found

    def _by_features(self, gray: Gray) -> Floats | None:
        shrink = min(1.0, max(self.scale, 2 * WORK_SIDE_PX / max(gray.shape)))
        own_points, own = self.features
        points, descriptors = _sift(resized(gray, shrink))
        if descriptors is None or own is None or len(descriptors) < 2:
            return None
        pairs = cv2.BFMatcher().knnMatch(own, descriptors, k=2)
        good = [a for a, b in pairs if a.distance < SIFT_RATIO * b.distance]
        if len(good) < 6:
            return None
        here = own_points[[match.queryIdx for match in good]]
        there = (points[[match.trainIdx for match in good]] + 0.5) / shrink - 0.5
        limit_px = SIFT_INLIER_PX / shrink
        affine, _ = cv2.estimateAffinePartial2D(
            here, there, method=cv2.RANSAC, ransacReprojThreshold=limit_px, maxIters=3000
        )
        return None if affine is None else np.asarray(affine, np.float64)

    def _refined(self, gray: Gray, guess: Floats) -> Registration | None:
        """Track the patch's points in the frame as the guess warps it, twice."""
        if not _is_camera_move(guess):
            return None
        affine, tracked = guess, None
        shrink = min(1.0, 1.0 / self._frame_px_per_work_px(guess))
        shrink = shrink if shrink < 0.8 else 1.0
        gray = resized(gray, shrink)
        for _ in range(ROUNDS):
            if not _is_camera_move(affine):
                return None
            warped = self._warped(gray, affine, shrink)
            tracked = self._track(warped)
            if tracked is None:
                return None
            step = _compose(_compose(self.to_picture, tracked[0]), _inverse(self.to_picture))
            affine = _compose(affine, step)
            if self._moves_px(tracked[0]) < SETTLED_PX:
                break
        assert tracked is not None
        _, inliers, rms = tracked
        correlation = _correlation(self.even, self._warped(gray, affine, shrink))
        to_frame = self._frame_px_per_work_px(affine)
        return Registration(affine, inliers, len(self.points), rms * to_frame, correlation)

    def _moves_px(self, step: Floats) -> float:
        """How far a map moves the patch's corners, at most, in work pixels."""
        height, width = self.even.shape
        corners = np.array([(0, 0), (width, 0), (0, height), (width, height)], dtype=np.float64)
        return float(np.abs(_moved(corners, step) - corners).max())

    def _frame_px_per_work_px(self, affine: Floats) -> float:
        return math.sqrt(abs(float(np.linalg.det(affine[:, :2])))) / self.scale

    def _warped(self, gray: Gray, affine: Floats, shrink: float) -> Gray:
        """The frame, given shrunk, as the patch would have seen it; local contrast evened out."""
        to_frame = _compose(affine, self.to_picture) * shrink
        to_frame[:, 2] += 0.5 * shrink - 0.5
        height, width = self.even.shape
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(
            gray, to_frame, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return _even(np.asarray(warped, np.uint8))

    def _track(self, warped: Gray) -> tuple[Floats, int, float] | None:
        """How the points moved between patch and warped frame: (affine, inliers, rms_px)."""
        moved, status, _ = cv2.calcOpticalFlowPyrLK(
            self.even, warped, self.points, self.points.copy(), winSize=(17, 17), maxLevel=3
        )
        kept = status.ravel() == 1
        if kept.sum() < LEAST_INLIERS:
            return None
        here, there = self.points[kept], moved[kept]
        affine, mask = cv2.estimateAffine2D(
            here, there, method=cv2.RANSAC, ransacReprojThreshold=INLIER_PX, maxIters=1000
        )
        if affine is None:
            return None
        is_in = mask.ravel() == 1
        off = _moved(here[is_in], affine) - there[is_in]
        rms = math.sqrt(float((off**2).sum(axis=1).mean()))
        return np.asarray(affine, np.float64), int(is_in.sum()), rms


def _sift(gray: Gray) -> tuple[Floats, Float32s | None]:
    everywhere = np.full_like(gray, 255)
    found, descriptors = cv2.SIFT.create(600).detectAndCompute(gray, everywhere)
    points = np.array([keypoint.pt for keypoint in found], np.float64).reshape(-1, 2)
    return points, np.asarray(descriptors, np.float32) if len(points) else None


def _even(gray: Gray) -> Gray:
    """Local mean and contrast taken out, so that light and exposure do not matter."""
    level = gray.astype(np.float32)
    side = (LOCAL_SIDE_PX, LOCAL_SIDE_PX)
    level -= cv2.blur(level, side)
    spread = np.sqrt(np.maximum(cv2.blur(level * level, side), 0.0)) + QUIET_LEVEL
    return np.clip(128.0 + 50.0 * level / spread, 0, 255).astype(np.uint8)


def _correlation(patch: Gray, warped: Gray) -> float:
    a, b = patch.astype(np.float32) - 128.0, warped.astype(np.float32) - 128.0
    energy = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / energy if energy > 0 else 0.0


def _is_camera_move(affine: Floats) -> bool:
    """Neither a mirror, nor a squeeze or a size that no camera move gives."""
    sizes = np.linalg.svd(affine[:, :2], compute_uv=False)
    low, high = SCALE_RANGE
    is_sized = low < sizes[1] and sizes[0] < high and sizes[0] < MOST_SQUEEZE * sizes[1]
    return bool(np.isfinite(affine).all() and is_sized and np.linalg.det(affine[:, :2]) > 0)


def _compose(second: Floats, first: Floats) -> Floats:
    """The map that applies `first`, then `second`; both ``(2, 3)``."""
    linear = second[:, :2] @ first[:, :2]
    shift = second[:, :2] @ first[:, 2] + second[:, 2]
    return np.column_stack([linear, shift])


def _moved(points: Floats | Float32s, affine: Floats) -> Floats:
    """``(n, 2)`` points after a map."""
    return np.asarray(points @ affine[:, :2].T + affine[:, 2], np.float64)


def _inverse(affine: Floats) -> Floats:
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])
