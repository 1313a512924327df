"""Decides. No asyncio, clock, file or network here: time is an argument, the edges act."""
