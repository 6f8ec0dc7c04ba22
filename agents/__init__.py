"""What the vendors' tools are: drivers, journals, runners. A library that knows nothing of `app`."""
