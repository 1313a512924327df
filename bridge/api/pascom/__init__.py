"""pascom's Command API in XML, modules monitor, journal and event: a dialect over what the JSON API does.

What pascom writes, by its developer documentation: https://github.com/pascomnet/documentation (xmpp-api).
"""
