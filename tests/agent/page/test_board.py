from agent.answer import Answer
from agent.page.board import Board
from agent.session import Event
from tools.evidence import ChannelReport, Evidence

EVIL = '<img src=x onerror="alert(1)"> ${alert(2)} {{alert}}'


def test_words_of_a_video_never_become_markup_or_a_template() -> None:
    board = Board(token="abc", pictures=True)
    cited = Evidence("ocr", "text", 1.0, 2.0, EVIL)
    board.take(Event("answer", Answer(answer=EVIL, reason=EVIL, evidence=(cited,))))
    board.take(Event("channel", ChannelReport("ocr", "failed", reason=EVIL)))
    for html in (board.answer_html(), board.evidence_html(), board.progress_html()):
        assert "&lt;img" in html
        assert "<img src=x" not in html
        assert "${" not in html
        assert "{{" not in html


def test_a_reply_grows_word_by_word_and_starts_anew_when_the_prompt_is_cut() -> None:
    board = Board()
    assert "Looking at the video" in board.answer_html()
    for word in ("The code ", "is"):
        assert board.take(Event("token", word))
    assert "The code is" in board.answer_html()
    board.take(Event("progress", {"stage": "reason", "shrunk_to": 0.5, "why": "too long"}))
    assert "The code is" not in board.answer_html()


def test_a_bar_runs_until_its_tool_has_reported() -> None:
    board = Board()
    board.take(Event("progress", {"stage": "ocr", "done_s": 30.0, "total_s": 120.0}))
    assert 'value="25"' in board.progress_html()
    board.take(Event("channel", ChannelReport("ocr", "ok", count=4, seconds=2.0)))
    html = board.progress_html()
    assert "<progress" not in html
    assert "rg-ok" in html


def test_an_error_keeps_what_the_tools_reported() -> None:
    board = Board()
    board.take(Event("channel", ChannelReport("shots", "ok", count=1)))
    board.fail(ValueError("the disk is full"))
    assert "the disk is full" in board.answer_html()
    assert "shots" in board.progress_html()


def test_an_abstention_says_why_and_shows_what_came_nearest() -> None:
    board = Board()
    near = Evidence("subtitles", "speech", 65.0, 70.0, "Something else.")
    answer = Answer("", abstained=True, reason="nothing fits", evidence=(near,))
    board.take(Event("answer", answer))
    assert "No answer" in board.answer_html()
    assert "Nearest evidence" in board.evidence_html()
    assert 'data-seek="65.000"' in board.evidence_html()
