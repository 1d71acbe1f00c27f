"""Networks of other tools, read into a `Graph`: a file is hostile until it is checked."""
