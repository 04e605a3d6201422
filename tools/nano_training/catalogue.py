"""Which model files show things that molmo-nano has names for, and which are only company.

The files are those of Sweet Home 3D's furniture libraries (Debian package
sweethome3d-furniture, CC BY 3.0 and CC0; docs/nano.md names the authors). Each library is a zip
archive with a `PluginFurnitureCatalog.properties`; entries are named by their model's folder.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from molmo_node.errors import ConfigError

_LIBRARIES = ("BlendSwap-CC-0", "BlendSwap-CC-BY", "KatorLegaz", "Reallusion", "Scopia")
NAMED: dict[str, tuple[str, ...]] = {
    "mug": ("caffe_final", "plasticCup", "coffee_cup", "coffee-mug", "cup"),
    "bottle": (
        "mamadeira", "yogurtBottle", "beer_bottle", "spray-bottle", "red-wine-bottle-01",
        "com_bath", "com_bath2_jabon_pijo", "medicoscopia_bottle",
        "medicoscopia_bottle2",
    ),
    "bowl": ("bowl", "apples", "bowlWithSalad"),
    "box": (
        "tetrapak", "ammoBox", "box", "medicoscopia_box", "cardboard-box", "open-cardboard-box",
    ),
    "ball": ("basketball", "ballonFoot"),
    "book": ("book",),
    "lamp": (
        "desklamp", "lamp2", "hangingLight", "lamp", "pedestal-vase-lamp", "desk_lamp1",
        "desk_lamp2", "little_lamp1", "little_lamp2", "little_lamp3", "table_lamp",
        "living_room_lamp1", "living_lamp", "hanging-restaurant-light", "saloon_lamp",
    ),
    "hammer": ("marteau",),
    "screwdriver": ("tournevis",),
    "clock": ("montre", "montre-with-pose"),
}  # fmt: skip
# what may show, or be taken for, something that has a name
_UNFIT = re.compile(
    r"lamp|light|book|ball|cup|mug|bowl|bottle|box|clock|watch|fruit|apple|glass|vase|jar|pot|"
    r"tool|hammer|driver|star|tree|plate|tape|cone|candle|switch|plug|socket|carpet|flacon|thermo|"
    r"scale|speed|can|barrel|basin|sink|milk|spray|dart|wheel|spot|lantern|tatami|plane|sign|"
    r"crossing|parking|bill|rails|ashtray|cable|wrench|arrow|cosmetic|medicine|puff|oven|creamer|"
    r"sugar|salt|kitchen|shelf|shelves|detector|bell|washing|dryer|phone|key|ring|tray|soap|coffee|"
    r"blender|mixer|kettle|bath|vanity|lavator|urinal|toilet|cooker|cooktop|induction|stove|wine",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Model:
    """A model file and what it shows; `noun` is empty for company."""

    noun: str
    path: Path


def unpack(libraries: Path, into: Path) -> None:
    """Unpack the five library files, each into a folder of its name.

    Raises:
        ConfigError: one is missing, with how to get it.
    """
    for name in _LIBRARIES:
        file = libraries / f"{name}.sh3f"
        if not file.is_file():
            raise ConfigError(
                f"{file}: no such library",
                hint="install Debian's package sweethome3d-furniture, or unpack it elsewhere "
                "and give that folder as --libraries",
            )
        with zipfile.ZipFile(file) as archive:
            archive.extractall(into / name)


def models(unpacked: Path) -> list[Model]:
    """All models of use, in a fixed order."""
    noun_of = {folder: noun for noun, folders in NAMED.items() for folder in folders}
    found = []
    for name in _LIBRARIES:
        text = (unpacked / name / "PluginFurnitureCatalog.properties").read_text("latin-1")
        titles = dict(re.findall(r"^name#(\d+)=(.*?)\s*$", text, re.MULTILINE))
        for number, where in re.findall(r"^model#(\d+)=(.*?)\s*$", text, re.MULTILINE):
            path = unpacked / name / where.lstrip("/")
            noun = noun_of.get(path.parent.name, "")
            is_fit = noun or not _UNFIT.search(titles.get(number, "") + " " + path.parent.name)
            if is_fit and path.suffix.lower() == ".obj" and path.is_file():
                found.append(Model(noun, path))
    return found
