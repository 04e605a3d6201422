"""From a pixel and its depth to a point in the camera's optical frame. Needs no ROS.

Formulas: sensor_msgs/CameraInfo, and OpenCV's camera models, which it names. The optical frame
has x to the right, y down and z forward (REP 103).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from molmo_node.errors import ProtocolError
from molmo_node.imaging import load_cv2

# Numbers of coefficients that OpenCV takes.
_PLUMB_BOB = (4, 5, 8, 12, 14)
_FISHEYE = 4
_ROUNDS = 20
_FISHEYE_MODELS = ("equidistant", "fisheye")
PointM = tuple[float, float, float]


@dataclass(frozen=True)
class Pinhole:
    """A calibrated camera.

    Attributes:
        width, height: of the image that arrives, after the camera's region and binning.
        fx, fy, cx, cy: pixels of that image; pixel centres are at whole numbers, as in OpenCV.
        distortion: coefficients in OpenCV's order; empty for a rectified image.
        is_fisheye: whether they are of the equidistant model.
        offset_x_m: added to x: the right camera of a stereo pair is described in the left's frame.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    is_fisheye: bool = False
    offset_x_m: float = 0.0

    def deproject(self, x_px: float, y_px: float, depth_m: float, size: tuple[int, int]) -> PointM:
        """The point in metres of the optical frame that a pixel shows.

        Args:
            x_px, y_px: of the frame; origin at its top-left corner, so the first pixel's centre
                is at 0.5, 0.5.
            depth_m: along the optical axis.
            size: the frame's (width, height); it may be a scaled copy of the calibrated image.
        """
        u = x_px * self.width / size[0] - 0.5
        v = y_px * self.height / size[1] - 0.5
        x, y = (u - self.cx) / self.fx, (v - self.cy) / self.fy
        if any(self.distortion):
            x, y = self._undistorted(u, v)
        return x * depth_m + self.offset_x_m, y * depth_m, depth_m

    def _undistorted(self, u: float, v: float) -> tuple[float, float]:
        cv2 = load_cv2()
        matrix = np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])
        pixel, coefficients = np.array([[[u, v]]]), np.array(self.distortion)
        if self.is_fisheye:
            ray = cv2.fisheye.undistortPoints(pixel, matrix, coefficients)[0, 0]
            return float(ray[0]), float(ray[1])
        ray = cv2.undistortPoints(pixel, matrix, coefficients)[0, 0]
        zero, focal = np.zeros(3), np.array([self.fx, self.fy])
        # Its few rounds leave millimetres at the edge of a wide lens: go on from there.
        for _ in range(_ROUNDS):
            seen = cv2.projectPoints(np.array([[*ray, 1.0]]), zero, zero, matrix, coefficients)[0]
            ray = ray + (pixel[0, 0] - seen[0, 0]) / focal
        return float(ray[0]), float(ray[1])


def pinhole(info: Any, is_rectified: bool) -> Pinhole:
    """What a `sensor_msgs/CameraInfo` says about its images.

    Args:
        is_rectified: the images were rectified: P describes them, and there is no distortion.

    Raises:
        ProtocolError: the camera is not calibrated, or its model is not known.
    """
    binning = (max(1, int(info.binning_x)), max(1, int(info.binning_y)))
    roi = info.roi
    width = (int(roi.width) or int(info.width)) // binning[0]
    height = (int(roi.height) or int(info.height)) // binning[1]
    matrix = np.array(info.p).reshape(3, 4) if is_rectified else np.array(info.k).reshape(3, 3)
    fx, fy = float(matrix[0, 0]), float(matrix[1, 1])
    numbers = [*np.ravel(matrix), *info.d]
    if not (fx > 0 and fy > 0 and width > 0 and height > 0 and np.isfinite(numbers).all()):
        raise ProtocolError(
            "camera_info has no focal length: the camera is not calibrated",
            hint="ros2 run camera_calibration cameracalibrator",
        )
    # Of the whole sensor, pixel centres at whole numbers: moved to the region, then binned.
    cx = (float(matrix[0, 2]) - int(roi.x_offset) + 0.5) / binning[0] - 0.5
    cy = (float(matrix[1, 2]) - int(roi.y_offset) + 0.5) / binning[1] - 0.5
    return Pinhole(
        width=width, height=height, fx=fx / binning[0], fy=fy / binning[1], cx=cx, cy=cy,
        distortion=() if is_rectified else _coefficients(info),
        is_fisheye=info.distortion_model in _FISHEYE_MODELS,
        offset_x_m=-float(matrix[0, 3]) / fx if is_rectified else 0.0,
    )  # fmt: skip


def _coefficients(info: Any) -> tuple[float, ...]:
    found = tuple(float(value) for value in info.d)
    if not any(found):
        return ()
    is_fisheye = info.distortion_model in _FISHEYE_MODELS
    if len(found) == _FISHEYE if is_fisheye else len(found) in _PLUMB_BOB:
        return found
    raise ProtocolError(
        f"distortion model {info.distortion_model[:32]!r} with {len(found)} coefficients is not"
        " known",
        hint="plumb_bob, rational_polynomial and equidistant are; or use the rectified image"
        " and is_rectified",
    )
