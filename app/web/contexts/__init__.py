"""What each page shows, as data: frozen dataclasses, built from stored state with few queries.

No git, no process and no vendor is called from here; a request reads rows and files only.
"""
