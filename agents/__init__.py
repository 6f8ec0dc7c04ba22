"""What the vendors' tools are: drivers, journals, runners; a library that knows no `app`."""
