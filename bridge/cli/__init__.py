"""The `recbridge` command: one file a command."""
