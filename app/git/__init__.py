"""Git: the human's repository, its two clones, worktrees, diffs and merges. Knows no table."""
