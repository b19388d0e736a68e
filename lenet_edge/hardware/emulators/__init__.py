"""The emulators that run the firmware of a board, each presented as a byte stream."""
