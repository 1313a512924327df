"""`make demo`: three real calls, recorded."""
