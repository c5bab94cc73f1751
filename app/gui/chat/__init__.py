"""The conversation: question box, bubbles, streamed answers, citation chips."""
