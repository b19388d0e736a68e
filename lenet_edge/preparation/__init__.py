"""From a picture or a camera's frame to the image that a network takes, in integers (numpy only)."""
