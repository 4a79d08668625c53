from collections import Counter

from agent.evaluation.run import names_of, spread


def test_a_limit_takes_whole_videos_spread_evenly(item) -> None:
    items = [item(f"{video}-{n}", f"v{video}") for video in range(10) for n in range(4)]

    chosen = spread(items, 12)

    assert Counter(one.video for one in chosen) == {"v0": 4, "v3": 4, "v6": 4}
    assert spread(items, None) == items
    assert spread(items, 100) == items
    assert len(spread(items, 7)) == 7
    assert len(spread(items, 1)) == 1


def test_results_files_of_one_name_are_told_apart_by_their_paths(tmp_path) -> None:
    assert names_of([tmp_path / "a.jsonl", tmp_path / "b.jsonl"]) == ["a", "b"]
    same = [tmp_path / "x/a.jsonl", tmp_path / "y/a.jsonl"]
    assert names_of(same) == [str(path) for path in same]
