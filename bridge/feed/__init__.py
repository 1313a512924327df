"""What is handed on as it happens: live streams."""
