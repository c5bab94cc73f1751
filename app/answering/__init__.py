"""From a question and passages to a checked, cited answer. No I/O: everything comes in as values."""
