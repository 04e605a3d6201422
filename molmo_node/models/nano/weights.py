"""The weights file: safetensors in half precision, beside this module."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from molmo_node.errors import ModelError
from molmo_node.models.nano.network import Nano

WEIGHTS = Path(__file__).with_name("nano.safetensors")


def load_network(path: Path = WEIGHTS) -> Nano:
    """The network with its weights in float32, ready to answer.

    Raises:
        ModelError: the file is missing, or not this network's.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as exc:
        raise ModelError(
            f"{path}: molmo-nano's weights cannot be read ({exc})",
            hint="install molmo_node again, or name the file that tools/train_nano.py exported",
        ) from exc
    model = Nano()
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as exc:
        raise ModelError(
            f"{path}: the file is not of this molmo-nano's shape",
            hint="it was made by another version; train or export again",
        ) from exc
    return model.eval().requires_grad_(False)
