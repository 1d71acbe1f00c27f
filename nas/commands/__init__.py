"""What the search's sub-commands do; each module is imported when its command runs."""
