"""The manager over boards that do not exist, in a time of its own: what scheduling itself costs."""
