"""Learning curves as a picture, drawn with OpenCV: no plotting library is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_PANEL, _MARGIN, _INK = (460, 260), 44, (60, 60, 60)
_PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("loss", ("patch", "stop", "nouns", "parts")),
    ("pointing", ("single_hit", "color_only_hit", "noun_only_hit", "multi_f1")),
    ("absent and count", ("absent", "wrong_abstention", "count_1_to_5")),
    ("dials", ("clock_within_1_min", "gauge_within_2_pct", "mixed_clock_within_1_min")),
    ("key points, px", ("clock_key_px", "gauge_key_px")),
)
_COLORS = ((200, 80, 30), (40, 140, 40), (40, 40, 200), (160, 60, 160))


def _series(rows: list[dict[str, Any]], title: str, name: str) -> NDArray[np.float64]:
    group = "loss" if title == "loss" else "figures"
    found = [(row["cpu_s"] / 60, row[group][name]) for row in rows if name in row[group]]
    return np.array(found, np.float64).reshape(-1, 2)


def _panel(rows: list[dict[str, Any]], title: str, names: tuple[str, ...]) -> NDArray[np.uint8]:
    width, height = _PANEL
    image = np.full((height, width, 3), 255, np.uint8)
    series = {name: _series(rows, title, name) for name in names}
    filled = [values for values in series.values() if len(values)]
    right = max((values[:, 0].max() for values in filled), default=1.0)
    top = max(1.0, max((values[:, 1].max() for values in filled), default=1.0))
    span = width - _MARGIN - 12, height - _MARGIN - 30
    for part in range(5):
        y = int(height - _MARGIN - span[1] * part / 4)
        cv2.line(image, (_MARGIN, y), (width - 12, y), (225, 225, 225), 1)
        cv2.putText(image, f"{top * part / 4:.3g}", (4, y + 4), 0, 0.36, _INK, 1, cv2.LINE_AA)
    for index, (name, values) in enumerate(series.items()):
        color = _COLORS[index]
        cv2.putText(image, name, (_MARGIN + index % 4 * 102, 28), 0, 0.33, color, 1, cv2.LINE_AA)
        x = _MARGIN + values[:, 0] / right * span[0]
        y_px = height - _MARGIN - values[:, 1] / top * span[1]
        line = np.stack((x, y_px), 1).round().astype(np.int32)
        cv2.polylines(image, [line], False, color, 2, cv2.LINE_AA)
    cv2.putText(image, title, (_MARGIN, 14), 0, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    at = (_MARGIN, height - 12)
    cv2.putText(image, f"0 to {right:.0f} CPU-minutes", at, 0, 0.38, _INK, 1, cv2.LINE_AA)
    return image


def draw_curves(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the curve's rows as a PNG of five panels."""
    panels = [_panel(rows, title, names) for title, names in _PANELS]
    panels.append(np.full_like(panels[0], 255))
    sheet = np.concatenate([np.concatenate(panels[i : i + 2], 1) for i in (0, 2, 4)])
    cv2.imwrite(str(path), sheet)
