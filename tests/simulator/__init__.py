"""A small Asterisk for where no real one can run: it speaks AMI, acts scripted calls, and writes WAVs full of tones.

What it says was taken from Asterisk 22.10 (header sets, their order, messages, privileges); it knows the actions that
the daemon uses and no others.
"""
