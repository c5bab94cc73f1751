"""The command line: a second front end over the same use cases as the window."""
