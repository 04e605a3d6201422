"""What `ros2 launch` and colcon are given: their programs are not here, so the files are read."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET

from tests.ros2.environments import ROOT

FOLDER = ROOT / "launch" / "ros2"
LAUNCH = FOLDER / "molmo_node.launch.py"
INTERFACES = FOLDER / "molmo_node_interfaces"


def test_the_launch_file_is_python_and_starts_the_verb_with_the_shipped_parameters():
    tree = ast.parse(LAUNCH.read_text())

    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert functions == {"generate_launch_description"}
    assert {"ros2", "parameters.yaml", "autostart"} <= texts
    assert (FOLDER / "parameters.yaml").exists()


def test_the_interface_package_names_its_files_and_what_they_use():
    package = ET.parse(INTERFACES / "package.xml").getroot()
    cmake = (INTERFACES / "CMakeLists.txt").read_text()
    files = {
        str(p.relative_to(INTERFACES)) for p in INTERFACES.rglob("*.*") if p.parent != INTERFACES
    }

    assert set(re.findall(r'"((?:srv|action|msg)/\S+)"', cmake)) == files
    depends = {one.text for one in package.iter("depend")}
    used = set(
        re.findall(r"^(\w+_msgs)/", "\n".join((INTERFACES / f).read_text() for f in files), re.M)
    )
    assert used <= depends
    assert used <= set(re.findall(r"find_package\((\w+)", cmake))
    assert package.findtext("name") == "molmo_node_interfaces"
