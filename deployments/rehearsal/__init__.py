"""The whole world on one machine: real control planes, an operator process, releases and a registry."""
