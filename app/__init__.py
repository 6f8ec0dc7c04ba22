"""The running program: state, supervision, web. Imports `agents`; nothing imports it."""

__version__ = "0.1.0"
