"""Word, PowerPoint and OpenDocument texts and slides."""
