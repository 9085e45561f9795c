"""The laws as test classes, for everybody who writes a connector, an engine or a step."""
