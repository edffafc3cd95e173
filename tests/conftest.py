"""Fixtures that every folder of tests may use."""

pytest_plugins = ["tests.support.control_planes", "tests.support.pushgateways", "tests.support.worlds"]
