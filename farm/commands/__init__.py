"""The farm's sub-commands, one file each; imported only when one of them runs."""
