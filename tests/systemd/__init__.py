"""The unit holds its promises, and what it forbids does not break the recording."""
