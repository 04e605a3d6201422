"""The optional text reader: RapidOCR (extra `[ocr]`), models in its own wheel, offline."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import cv2
import numpy as np

from molmo_node.instruments.pixels import Floats, ImageRGB
from molmo_node.instruments.texts import Text, TextReader

LONGEST_SIDE_PX = 640
THREADS = 1


def is_available() -> bool:
    """The extra `[ocr]` is installed."""
    return all(importlib.util.find_spec(name) for name in ("rapidocr", "onnxruntime"))


@cache
def text_reader() -> TextReader | None:
    """A reader of printed text, loaded once a process; None where the extra is missing.

    It takes 0.6 to 1.3 s of CPU for a 640-px dial: for finding a scale, not for every frame.
    """
    if not is_available():
        return None
    from rapidocr import RapidOCR

    engine: Any = RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Det.limit_type": "max",
            "Det.limit_side_len": LONGEST_SIDE_PX,
            "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )

    def read(image: ImageRGB) -> list[Text]:
        found = engine(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), use_cls=False)
        if found.boxes is None or found.txts is None:
            return []
        return [
            _text(np.asarray(box, np.float64), str(text), float(score))
            for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
        ]

    return read


def _text(box: Floats, text: str, score: float) -> Text:
    x_px, y_px = box.mean(axis=0)
    return Text(text, float(x_px), float(y_px), float(np.ptp(box, axis=0).max()), score)
