"""A rack of virtual boards in use for a long time, and whether anything grows that should not."""
