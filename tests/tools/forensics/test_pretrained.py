"""B1: measurements with weights: without any, with wrong ones, and on tiny random checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.base import Tool, ToolInput, ToolRuntime
from tools.errors import MissingError
from tools.evidence import Evidence
from tools.media.video import probe
from tools.registry import make_tool

Moving = Callable[..., Path]
NAMES = ["depth", "segmentation", "d3_embedding", "curvature_embedding"]


def even(number: float) -> tuple[float, float]:
    return 3.0 * number - 24, 1.0 * number - 8


def save(folder: Path, model: Any, processor: Any) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def small_dino() -> dict[str, Any]:
    return {
        **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"image_size": 56, "patch_size": 14},
    }


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random checkpoints of some thousand weights, in the folders and formats of real ones."""
    import torch
    import transformers as hf

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    pictures = hf.BitImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
    )
    dino = hf.Dinov2Model(hf.Dinov2Config(**small_dino()))
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    tower |= {"num_attention_heads": 2}
    clip = hf.CLIPModel(
        hf.CLIPConfig(
            text_config={**tower, "vocab_size": 99},
            vision_config={**tower, "image_size": 56, "patch_size": 14},
            projection_dim=8,
        )
    )
    clip_pictures = hf.CLIPImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
    )
    return {
        "dino": save(folder / "dino", dino, pictures),
        "clip": save(folder / "clip", clip, clip_pictures),
        "depth": save(folder / "depth", *_depth(hf)),
        "segmentation": save(folder / "sam", *_sam(hf)),
    }


def _depth(hf: Any) -> tuple[Any, Any]:
    backbone = hf.Dinov2Config(
        **small_dino(), out_indices=[1, 2], reshape_hidden_states=False, apply_layernorm=True
    )
    config = hf.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        patch_size=14,
        reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
    )
    size = {"height": 56, "width": 56}
    processor = hf.DPTImageProcessor(size=size, keep_aspect_ratio=False, ensure_multiple_of=14)
    return hf.DepthAnythingForDepthEstimation(config), processor


def _sam(hf: Any) -> tuple[Any, Any]:
    vision = hf.SamVisionConfig(
        hidden_size=16,
        output_channels=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        patch_size=8,
        window_size=2,
        global_attn_indexes=[1],
        num_pos_feats=4,
        mlp_dim=32,
    )
    prompt = hf.SamPromptEncoderConfig(
        hidden_size=8, image_size=64, patch_size=8, mask_input_channels=4
    )
    decoder = hf.SamMaskDecoderConfig(
        hidden_size=8,
        mlp_dim=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        iou_head_hidden_dim=8,
    )
    config = hf.SamConfig(
        vision_config=vision.to_dict(),
        prompt_encoder_config=prompt.to_dict(),
        mask_decoder_config=decoder.to_dict(),
    )
    processor = hf.SamImageProcessor(
        size={"longest_edge": 64},
        pad_size={"height": 64, "width": 64},
        mask_size={"longest_edge": 16},
        mask_pad_size={"height": 16, "width": 16},
    )
    return hf.SamModel(config), processor


def ready(name: str, model: Path | str, tmp_path: Path, **options: Any) -> Tool:
    tool = make_tool(name, {"model": str(model), **options})
    tool.setup(ToolRuntime("cpu", offline=True, models=tmp_path))
    return tool


def run(tool: Tool, path: Path) -> Evidence:
    (found,) = tool.run(ToolInput(probe(path)))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_without_weights_it_is_unavailable_and_says_how_to_get_them(
    moving: Moving, tmp_path: Path, name: str
) -> None:
    tool = make_tool(name, {})
    state = tool.available()
    assert (state.ok, tool.models) == (False, {})
    assert f"set {name}.model=" in state.remedy
    found = run(tool, moving(even))
    assert (found.data["status"], found.data["values"]) == ("unavailable", {})
    assert found.text.startswith("Not run: no model is set")
    with pytest.raises(MissingError, match=f"set {name}.model="):
        tool.setup(ToolRuntime("cpu", offline=True, models=tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_cannot_be_loaded(moving: Moving, tmp_path: Path, name: str) -> None:
    gone = make_tool(name, {"model": str(tmp_path / "gone")})
    assert not gone.available().ok
    (tmp_path / "empty").mkdir()
    empty = make_tool(name, {"model": str(tmp_path / "empty")})
    with pytest.raises(MissingError, match="cannot be loaded"):
        empty.setup(ToolRuntime("cpu", offline=True, models=tmp_path))
    found = run(empty, moving(even))
    assert found.data["status"] == "unavailable"
    assert "not loaded" in found.text


def test_depth(moving: Moving, tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    tool = ready("depth", checkpoints["depth"], tmp_path, pictures=4, batch=3)
    found = run(tool, moving(even))
    assert found.data["status"] == "ok"
    assert found.data["values"]["pictures"] == 4
    assert 0 < found.data["values"]["flicker"] <= 1
    assert found.data["view"]["frames"] == [0, 4, 8, 12]
    assert tool.memory_bytes > 1000
    still = run(tool, moving(lambda n: (0, 0), "still.mp4"))
    assert still.data["values"]["flicker"] < found.data["values"]["flicker"]


def test_segmentation(moving: Moving, tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    options = {"pictures": 2, "points": 3}
    none = run(
        ready("segmentation", checkpoints["segmentation"], tmp_path, min_score=1.0, **options),
        moving(even),
    )
    assert (none.data["status"], none.data["values"]["segments_mean"]) == ("ok", 0)
    some = ready(
        "segmentation",
        checkpoints["segmentation"],
        tmp_path,
        min_score=0,
        min_stability=0,
        **options,
    )
    found = run(some, moving(even, "other.mp4"))
    assert found.data["status"] == "ok"
    assert 0 <= found.data["values"]["covered_share"] <= 1
    assert found.data["view"]["frames"] == [0, 8]


@pytest.mark.parametrize("model", ["dino", "clip"])
def test_embeddings(
    moving: Moving, tmp_path: Path, checkpoints: dict[str, Path], model: str
) -> None:
    clip = moving(even)
    score = run(ready("d3_embedding", checkpoints[model], tmp_path), clip)
    assert score.data["status"] == "ok"
    assert score.data["values"]["mean_step"] > 0
    bend = run(ready("curvature_embedding", checkpoints[model], tmp_path), clip)
    assert 0 < bend.data["values"]["least_deg"] <= bend.data["values"]["most_deg"] <= 180
    again = run(ready("curvature_embedding", checkpoints[model], tmp_path), clip)
    assert again.data["values"] == bend.data["values"]
    still = run(
        ready("d3_embedding", checkpoints[model], tmp_path), moving(lambda n: (0, 0), "still.mp4")
    )
    assert still.data["status"] == "not_applicable"


def test_painted_segments_leave_the_rest_grey() -> None:
    from tools.forensics.segmentation import painted

    picture = np.full((20, 30, 3), (200, 50, 50), np.uint8)
    masks = np.zeros((1, 20, 30), bool)
    masks[0, :, :10] = True
    shown = painted(picture, masks)
    assert (shown[:, 10:].std(axis=2) == 0).all()
    assert (shown[:, :10].std(axis=2) > 0).all()
