from pathlib import Path

from agent.tasks import find_benchmark

UIDS = ("0074f737-11cb", "00b9a0de-c59e", "00f93e1e-cf4e")


def row(uid: str) -> dict[str, object]:
    options = {f"option {number}": f"C does task {number}." for number in range(5)}
    return {"q_uid": uid, "google_drive_id": "x1", "question": "What is C doing?", **options}


def test_only_the_subset_has_answers_and_the_rest_is_submitted(save, videos, read) -> None:
    videos(f"{UIDS[0]}.mp4", f"{UIDS[1]}.MP4")
    save("questions.json", [row(uid) for uid in UIDS])
    save("subset_answers.json", {UIDS[0]: "3"})

    known, hidden, missing = read("egoschema")

    assert (known.truth.choice, hidden.truth.hidden) == (3, True)
    assert hidden.media.file.suffix == ".MP4"
    assert missing.media.file is None
    items, submit = [known, hidden, missing], find_benchmark("egoschema").submit
    assert submit(items, {UIDS[0]: 3, UIDS[1]: 0}) == {UIDS[0]: 3, UIDS[1]: 0, UIDS[2]: -1}


def test_the_file_of_the_subset_asks_only_its_questions(save, read) -> None:
    save("questions.json", [row(uid) for uid in UIDS])
    path = save("subset_answers.json", {UIDS[1]: 4})

    assert [(item.id, item.truth.choice) for item in read("egoschema", path)] == [(UIDS[1], 4)]


def test_object_by_question_and_table_of_the_hub(save, read, folder: Path) -> None:
    plain = {key: value for key, value in row("u").items() if key != "q_uid"}
    nested = save("llovi.json", {"u1": {**plain, "truth": 2}, "u2": plain})
    options = [f"{letter}. task {letter}" for letter in "ABCDE"]
    table = save(
        "subset.parquet",
        [{"question_idx": "0", "question": "What?", "video_idx": "u3", "option": options,
          "answer": "1"}],
    )  # fmt: skip

    first, second = read("egoschema", nested)
    (third,) = read("egoschema", table)

    assert (first.id, first.truth.choice, second.truth.hidden) == ("u1", 2, True)
    assert (third.id, third.truth.choice) == ("u3", 1)
    assert third.question.options[0] == "task A"
