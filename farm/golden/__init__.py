"""Golden images: what a board in order must compute, in how many cycles, at which clock."""
