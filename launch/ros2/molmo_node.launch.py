"""Start the bridge, and with `worker:=true` a worker beside it.

ros2 launch launch/ros2/molmo_node.launch.py parameters:=launch/ros2/parameters.yaml

molmo_node is installed with pip, not with colcon: `molmo_node:=PATH` names its program where that
is not on the PATH of the sourced ROS. With `managed:=true` the node waits for a lifecycle manager.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.conditions import IfCondition
from launch.substitutions import (
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
    ThisLaunchFileDir,
)
from launch_ros.actions import Node


def generate_launch_description() -> LaunchDescription:
    """The arguments, the bridge, and the worker if it is wanted."""
    program = LaunchConfiguration("molmo_node")
    is_managed = LaunchConfiguration("managed")
    arguments = [
        DeclareLaunchArgument("molmo_node", default_value="molmo-node", description="Its program."),
        DeclareLaunchArgument("name", default_value="molmo_node", description="Of the ROS node."),
        DeclareLaunchArgument("namespace", default_value="", description="Of the ROS node."),
        DeclareLaunchArgument(
            "parameters",
            default_value=PathJoinSubstitution([ThisLaunchFileDir(), "parameters.yaml"]),
            description="File of the bridge's ROS parameters.",
        ),
        DeclareLaunchArgument(
            "managed", default_value="false", description="Wait for a lifecycle manager."
        ),
        DeclareLaunchArgument("worker", default_value="false", description="Start a worker too."),
        DeclareLaunchArgument("model", default_value="none", description="Of that worker."),
    ]
    bridge = Node(
        executable=program,
        arguments=["ros2"],
        name=LaunchConfiguration("name"),
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            LaunchConfiguration("parameters"),
            {"autostart": PythonExpression(["'", is_managed, "'.lower() != 'true'"])},
        ],
        output="screen",
        # A killed bridge would leave its shared memory behind.
        sigterm_timeout="5.0",
        sigkill_timeout="5.0",
    )
    worker = ExecuteProcess(
        cmd=[program, "worker", "--model", LaunchConfiguration("model")],
        condition=IfCondition(LaunchConfiguration("worker")),
        output="screen",
    )
    return LaunchDescription([*arguments, bridge, worker])
