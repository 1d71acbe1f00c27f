"""boards.yaml and what it says: types, boards, consoles, power; other forms of it."""
