"""The bridge to ROS 2: image topics in, answers, points and diagnostics out.

Only `bridge`, `inputs`, `outputs`, `services`, `topic` and `run` import rclpy; the rest is plain
Python that any interpreter can test.
"""
