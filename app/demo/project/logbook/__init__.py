"""A ship's log in plain text."""
