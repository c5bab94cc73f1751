"""Open and read one file: PDF, plain text, Markdown; cut it into chunks. Runs inside the ingest child only."""
