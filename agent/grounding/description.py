"""What is looked for, as a question that every method takes and as the bare description."""

ASKED, ENDS = 'When in the video does this happen: "', '"? Answer with its start and its end in '
FORM = f"{ASKED}{{}}{ENDS}seconds, as in 3.5 to 9 s."


def ask_when(description: str) -> str:
    """Return the question when something happens, for a method that answers questions.

    >>> described(ask_when("a person sits"))
    'a person sits'
    """
    return FORM.format(description)


def described(question: str) -> str:
    """Return the description in a question of `ask_when`; any other question is one itself."""
    inside = question.startswith(ASKED) and ENDS in question
    return question.removeprefix(ASKED).rpartition(ENDS)[0] if inside else question
