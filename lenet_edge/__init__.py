"""lenet-edge: a small image classifier from data to a microcontroller, with one integer truth."""

__version__ = "0.1.0"
