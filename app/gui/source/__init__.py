"""The source pane: the cited page as it is printed, with the cited lines marked."""
