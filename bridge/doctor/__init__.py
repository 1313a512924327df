"""What `recbridge doctor` looks at: each check says how one thing is, and what to do about it. Nothing is changed.

`findings` is what a check says, `checks` the table of all, a module a group of them. Nobody's name or number is told.
"""
