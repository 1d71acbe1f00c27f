"""The command line: the farm's sub-commands and the search's."""


def main() -> int:
    """Run one sub-command and return its exit code."""
    return 2
