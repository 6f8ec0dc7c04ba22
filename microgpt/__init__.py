"""The research subject. Empty until the lab moves in."""
