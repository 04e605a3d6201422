"""Record the small golden files of tests/models/golden from the full golden set.

    python tools/record_molmo_golden.py GOLDEN_FOLDER

`reference.json` is cut from the full set: what the reference implementation answered, for
everything that needs no weights. `decoders.json` holds logits and greedy tokens of the tiny
checkpoints of make_tiny_molmo as this implementation computes them; it is to be recorded only
while the tests on the full set pass.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molmo_node.models.molmo import MolmoForConditionalGeneration, MolmoProcessor
from tests.models.picture import golden_picture
from tools.make_tiny_molmo import FLAVOURS, make

_SAMPLES = 48
_TILINGS_KEPT = 7
_PROMPT = "Point to the red disc."
_PICTURE = (448, 112, 8)


def digest(array: np.ndarray[Any, Any], dtype: str) -> str:
    """SHA-256 of an array's values in this little-endian type."""
    return hashlib.sha256(np.ascontiguousarray(array).astype(dtype).tobytes()).hexdigest()


def reference_cases(folder: Path) -> list[dict[str, Any]]:
    """Preprocessing of every case, as hashes and a few samples."""
    manifest = json.loads((folder / "manifest.json").read_text())
    rows = []
    for case in manifest["cases"]:
        arrays = np.load(folder / "cases" / f"{case['name']}.npz")
        step = len(arrays["images_sample_value"]) // _SAMPLES
        keys = ("name", "width", "height", "image_seed", "max_crops", "n_crops", "image_sha256")
        row = {key: case[key] for key in keys}
        row["images_sha256"] = case["images_sha256_float32_le"]
        row["sample_index"] = arrays["images_sample_flat_index"][::step].tolist()
        row["sample_value"] = [float(v) for v in arrays["images_sample_value"][::step]]
        row["index_sha256"] = digest(arrays["image_input_idx"], "<i8")
        row["mask_mean"] = [float(v) for v in arrays["image_masks"].mean(-1)]
        row["image_tokens"] = int(case["seq_len"] - case["n_text_tokens"] - 1)
        rows.append(row)
    return rows


def decoder_case(folder: Path) -> dict[str, Any]:
    """Logits at a few places and greedy tokens of a tiny checkpoint."""
    model = MolmoForConditionalGeneration.from_pretrained(folder).eval()
    processor = MolmoProcessor.from_pretrained(folder)
    inputs = processor(images=[golden_picture(*_PICTURE)], text=_PROMPT)
    with torch.no_grad():
        logits = model(**inputs).logits[0, -1]
    said = model.generate(**inputs, max_new_tokens=12, do_sample=False, eos_token_id=None)
    return {
        "picture": _PICTURE,
        "prompt": _PROMPT,
        "input_ids": digest(inputs["input_ids"].numpy(), "<i8"),
        "logits": [round(float(v), 6) for v in logits[::16]],
        "greedy": said[0, inputs["input_ids"].shape[1] :].tolist(),
    }


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("golden", type=Path, help="folder of the full golden set")
    parser.add_argument("--out", type=Path, default=Path("tests/models/golden"))
    options = parser.parse_args()
    tilings = json.loads((options.golden / "extras" / "tilings.json").read_text())
    points = json.loads((options.golden / "extras" / "points.json").read_text())
    reference = {
        "cases": reference_cases(options.golden / "7b-d-like"),
        "tilings": tilings[::_TILINGS_KEPT],
        "points": points["extract"][::2],
    }
    decoders = {}
    with tempfile.TemporaryDirectory() as scratch:
        for flavour in FLAVOURS:
            decoders[flavour] = decoder_case(make(Path(scratch) / flavour, flavour))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "reference.json").write_text(json.dumps(reference) + "\n")
    (options.out / "decoders.json").write_text(json.dumps(decoders) + "\n")
    print(f"{len(reference['cases'])} cases, {len(reference['tilings'])} tilings: {options.out}")


if __name__ == "__main__":
    main()
