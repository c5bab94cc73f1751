"""The side bar: every document with its live state, and what can be done with it."""
