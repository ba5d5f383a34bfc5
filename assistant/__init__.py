"""A voice-and-vision assistant daemon for Linux edge boards: ask aloud about what the camera sees, hear the answer."""
