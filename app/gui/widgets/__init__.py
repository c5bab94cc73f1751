"""Small widgets of our own that know nothing of documents, chats or models."""
