"""What is kept: SQLite and the WAV files."""
