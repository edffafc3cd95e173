"""What tests share: fixtures for control planes, servers and files."""
