"""From a prompt to an answer: call, parse, verify, cite; shared by all methods."""
