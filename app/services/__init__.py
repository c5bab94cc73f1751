"""Use cases: library, asking, models. They return values or iterators of typed events and know no front end."""
