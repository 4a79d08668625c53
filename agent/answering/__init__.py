"""From a prompt to an answer: ask, parse, verify, cite; shared by all methods."""
