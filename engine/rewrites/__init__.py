"""The rewrites of engine/rewrite.py, one file a family."""
