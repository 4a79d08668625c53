from dataclasses import replace

import pytest

from agent.answering.time_spans import Span
from agent.batch.records import Job, Result, Row
from agent.batch.work import JobControl, WorkSettings, answer_job
from agent.evaluation.outcomes import outcome_of
from agent.evaluation.text_match import contains, has_substring


@pytest.mark.parametrize(
    ("said", "kind", "choice"),
    [
        ("B", "answered", 1),
        ("(B)", "answered", 1),
        ("B.", "answered", 1),
        ("rope", "answered", 1),
        ("A or B", "unparsed", None),
        ("", "unparsed", None),
        ("I cannot help with that.", "unparsed", None),
        ("F", "unparsed", None),
    ],
)
def test_what_cannot_be_parsed_stays_unparsed(item, answered, said, kind, choice) -> None:
    asked = item(choice=1)

    found = outcome_of(asked, answered(asked, None, said), "choice")

    assert (found.kind, found.choice) == (kind, choice)
    assert found.value == float(choice == 1)


def test_abstained_failed_and_missing_are_told_apart(item) -> None:
    asked = item(choice=1)
    failed = Result("q", "v", "", "Which one?", (), "failed", error="no such file")

    kinds = [
        outcome_of(asked, result, "choice").kind
        for result in (None, failed, replace(failed, status="abstained"))
    ]

    assert kinds == ["missing", "failed", "abstained"]


def test_a_reply_that_chose_no_option_is_unparsed_not_abstained(
    item, open_session, scripted, harbour
) -> None:
    asked = item(choice=1)
    chat = scripted(replies=["Hm, hard to say."], option_scoring=False)
    session = open_session(chat, method="blind")
    row = Row("q", harbour, asked.question)

    *_, result = answer_job(session, Job(harbour, (row,)), WorkSettings(), JobControl())

    assert result.status == "abstained"
    assert outcome_of(asked, result, "choice").kind == "unparsed"


def test_to_abstain_is_right_where_the_video_does_not_say(item, answered) -> None:
    asked = item(options=(), abstain=True)
    silent = replace(answered(asked), status="abstained")

    assert outcome_of(asked, silent, "contains").value == 1.0
    assert outcome_of(asked, answered(asked, text="Ada"), "contains").value == 0.0


def test_evidence_that_lies_where_the_answer_is_shown(item, answered) -> None:
    asked = item(choice=0, spans=(Span(10, 12),))

    inside = outcome_of(asked, answered(asked, 0, spans=[(11, 30)]), "choice")
    outside = outcome_of(asked, answered(asked, 0, spans=[(13, 30)]), "choice")

    assert inside.extra["evidence recall"] == 1.0
    assert outside.extra["evidence recall"] == 0.0


def test_confidence_counts_only_if_it_was_measured(item, answered) -> None:
    asked = item(choice=0)

    sure = answered(asked, 0, confidence=0.8, measured_by="likelihood")
    unsure = answered(asked, 0, confidence=0.0, measured_by="none")

    assert outcome_of(asked, sure, "choice").confidence == 0.8
    assert outcome_of(asked, unsure, "choice").confidence is None


@pytest.mark.parametrize(
    ("said", "texts", "right"),
    [
        ("It is five o'clock.", [("5",)], True),
        ("The Petrel and the Juno", [("petrel", "juno"), ("both",)], True),
        ("The Petrel", [("petrel", "juno"), ("both",)], False),
        ("15 boats", [("5",)], False),
    ],
)
def test_texts_are_matched_word_for_word(said: str, texts: list, right: bool) -> None:
    assert contains(said, texts) is right


# What github.com/bytedance/MTVQA's acc.py gives for the same pairs.
@pytest.mark.parametrize(
    ("said", "text", "score"),
    [
        ("Av. Müller 5", "av. müller", 0),
        ("É Rua X.", "rua x", 1),
        ("東京駅です", "東京", 1),
        ("no", "yes", 0),
        ("3.5 km", "35", 1),
        ("3.5 km", "3.5", 0),
    ],
)
def test_the_rule_of_mtvqa(said: str, text: str, score: int) -> None:
    assert has_substring(said, [(text,)]) == score
