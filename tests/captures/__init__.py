"""The calls of `fixtures/`: placed on a real Asterisk, captured, and replayed for ever."""
