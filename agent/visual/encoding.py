"""From pictures to visual tokens: pixels, vision tower, projector, layout.

The processors of LLaVA-NeXT and LLaVA-OneVision tile and pad, which frames of a video must not be.
So each frame is resized to the tower's square and goes through tower and projector directly, which
for LLaVA-1.5 is bit for bit what its `get_image_features` does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from agent.visual.guiding import QuestionGuidance
from agent.visual.layouts import Layout
from agent.visual.pruning import AttentionProbe
from agent.visual.spans import Features, Interleaved, TokenGrid
from agent.visual.thumbnails import compose_thumbnail, thumbnail_shape
from tools.errors import InputError
from tools.media.video import RGBImage

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 8  # frames per forward pass: 8 x 577 x 1024 values per layer for CLIP-L
FAMILIES = ("llava", "llava_next", "llava_onevision", "llava_next_video", "video_llava")
TOWERS = ("clip_vision_model", "siglip_vision_model")


@dataclass(frozen=True, slots=True)
class TowerSpec:
    """The input specification of a checkpoint's vision tower.

    Attributes:
        side: Pixels of the square's sides.
        patch: Pixels of a patch's sides.
        mean: Mean of each colour, 0 to 1.
        std: Standard deviation of each colour.
        padded: Whether frames are padded to squares with the mean colour, else squashed.
    """

    side: int
    patch: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padded: bool = False

    @property
    def patches(self) -> int:
        """Patches per side: the number of rows, and of columns, of tokens."""
        return self.side // self.patch

    def grid(self, frames: int, parity: bool = False) -> TokenGrid:
        """Return the token grid of a number of frames."""
        return TokenGrid(frames, self.patches, self.patches, parity)


def picture_of(pixels: "Tensor", tower: TowerSpec) -> RGBImage:
    """Return normalised pixels [3, S, S] as a picture, to inspect the tower's input."""
    import torch

    mean, std = torch.tensor(tower.mean), torch.tensor(tower.std)
    plain = pixels.float().cpu() * std[:, None, None] + mean[:, None, None]
    picture: RGBImage = (plain * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return picture


def takes_tokens(config: Any) -> bool:
    """Whether visual tokens can be put into a model of this configuration."""
    tower = getattr(getattr(config, "vision_config", None), "model_type", None)
    return config.model_type in FAMILIES and tower in TOWERS


def tower_of(config: Any, image_processor: Any) -> TowerSpec:
    """Return the tower's specification from a checkpoint's configuration and image processor.

    Raises:
        InputError: It is none of `FAMILIES`, or its tower neither CLIP nor SigLIP.
    """
    if not takes_tokens(config):
        raise InputError(
            f"visual tokens can be put into LLaVA-1.5, LLaVA-NeXT, LLaVA-OneVision, "
            f"LLaVA-NeXT-Video and Video-LLaVA with a CLIP or SigLIP tower, not into "
            f"{config.model_type!r}; choose one of them, or a method that sends pictures (ig-vlm)"
        )
    vision = config.vision_config
    mean, std = image_processor.image_mean, image_processor.image_std
    return TowerSpec(vision.image_size, vision.patch_size, tuple(mean), tuple(std))


def square_of(frame: RGBImage, tower: TowerSpec) -> RGBImage:
    """Return a frame resized to the tower's square; one of that size is returned unchanged."""
    square = (tower.side, tower.side)
    picture = Image.fromarray(padded(frame, tower.mean) if tower.padded else frame)
    return np.asarray(picture.resize(square, Image.Resampling.BICUBIC))


def padded(frame: RGBImage, mean: tuple[float, ...]) -> RGBImage:
    """Return a frame in the middle of a square of the mean colour, as LLaVA-1.5 takes pictures."""
    height, width = frame.shape[:2]
    side = max(height, width)
    colour = np.array([int(value * 255) for value in mean], np.uint8)
    square = np.broadcast_to(colour, (side, side, 3)).copy()
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = frame
    return square


def pixels_of(frames: Iterable[RGBImage], tower: TowerSpec) -> "Tensor":
    """Return frames resized to the tower's square and normalised, [T, 3, S, S], float32.

    Unless padded, the aspect ratio is not kept, as in TS-LLaVA's `resize` (`process_images` of its
    code). The frames may be streamed; none is kept at full size.
    """
    import torch

    resized = [square_of(frame, tower) for frame in frames]
    scaled = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor(tower.mean), torch.tensor(tower.std)
    return (scaled - mean[:, None, None]) / std[:, None, None]


def encode(model: Any, pixels: "Tensor", chunk: int = CHUNK) -> "Tensor":
    """Return the projected tokens of each picture, [T, n, D], in the model's precision.

    Args:
        model: A model for which `takes_tokens` holds.
        pixels: Normalised squares, [T, 3, S, S].
        chunk: Pictures per pass; on a CPU the result does not depend on it.
    """
    import torch

    with torch.inference_mode():
        parts = [_encode(model, part) for part in pixels.split(chunk)]
        return torch.cat(parts)


def encode_interleaved(
    encode_pass: Callable[["Tensor"], "Tensor"],
    pixels: "Tensor",
    span: Interleaved,
    grid: TokenGrid,
) -> "Tensor":
    """Return the tokens of frames encoded in interleaved passes, back in the order of time.

    Args:
        encode_pass: Returns the tokens [F, n, D] of the frames of one pass.
        pixels: All frames, [T, ...].
        span: Says which frames, and how many to a pass.
        grid: Grid of the tokens.

    Returns:
        [T, n, D]; zeros for frames that the span leaves out.
    """
    chosen = span.frames(grid).tolist()
    passes = max(1, len(chosen) // span.per_pass)
    made: Tensor | None = None
    for number in range(passes):
        places = chosen[number::passes]
        tokens = encode_pass(pixels[places])
        if made is None:
            made = tokens.new_zeros((len(pixels), *tokens.shape[1:]))
        made[places] = tokens
    assert made is not None  # for there is at least one pass
    return made


def received_by(model: Any, pixels: "Tensor", chunk: int = CHUNK) -> "Tensor":
    """Return the attention that each token receives in the layer whose features are used, [T, n].

    See `agent.visual.pruning`. Runs the tower once more.
    """
    import torch

    layer, skipped = feature_layer(model), _class_tokens(model)
    with torch.inference_mode(), AttentionProbe(layer) as probe:
        parts = []
        for part in pixels.split(chunk):
            vision_tower(model)(part.to(model.device, model.dtype))
            parts.append(probe.received()[:, skipped:])
        return torch.cat(parts)


def visual_tokens(
    model: Any,
    pixels: "Tensor",
    tower: TowerSpec,
    layout: Layout,
    parity: bool = False,
    guide: QuestionGuidance | None = None,
    chunk: int = CHUNK,
) -> "Tensor":
    """Return the visual tokens of a video, [M, D].

    Args:
        model: A model for which `takes_tokens` holds.
        pixels: The frames, [T, 3, S, S]; see `pixels_of`.
        tower: See `tower_of`.
        layout: See `agent.visual.layouts`.
        parity: Follow the published code to the bit.
        guide: For a layout that depends on the question.
        chunk: Pictures per pass.
    """
    import torch

    grid = tower.grid(len(pixels), parity)
    thumbnails = thumbnail_pixels(pixels, layout, tower, parity)
    frames = pixels if layout.needs_frames else pixels[:0]
    if span := layout.interleaved:
        encoded = encode_interleaved(lambda some: encode(model, some, chunk), frames, span, grid)
    else:
        encoded = encode(model, torch.cat([frames, thumbnails]), chunk)
    received = received_by(model, pixels, chunk) if layout.needs_attention else None
    features = Features(encoded[: len(frames)], encoded[len(frames) :], received, guide)
    return torch.cat([span.make(grid, features) for span in layout.spans])


def thumbnail_pixels(
    pixels: "Tensor", layout: Layout, tower: TowerSpec, parity: bool = False
) -> "Tensor":
    """Return the thumbnails of a layout, [G, 3, S, S]; G is 0 where it has none."""
    import torch

    grid = tower.grid(len(pixels), parity)
    groups = layout.thumbnails.groups(grid) if layout.thumbnails else ()
    made = [
        compose_thumbnail(pixels[list(group)], thumbnail_shape(len(group), parity), tower.patch)
        for group in groups
    ]
    return torch.stack(made) if made else pixels[:0]


def _encode(model: Any, pixels: "Tensor") -> "Tensor":
    """Return the projected tokens of a batch of pictures: hidden states without class token."""
    import torch

    core = model.model
    output = vision_tower(model)(pixels.to(model.device, model.dtype), output_hidden_states=True)
    wanted = model.config.vision_feature_layer
    layers = [wanted] if isinstance(wanted, int) else wanted
    skipped = _class_tokens(model)
    hidden = [output.hidden_states[layer][:, skipped:] for layer in layers]
    return core.multi_modal_projector(torch.cat(hidden, dim=-1))


def vision_tower(model: Any) -> Any:
    """Return the tower that sees frames; Video-LLaVA has one for pictures and one for videos."""
    core = model.model
    return core.video_tower if model.config.model_type == "video_llava" else core.vision_tower


def _class_tokens(model: Any) -> int:
    return int(model.config.vision_feature_select_strategy == "default")


def feature_layer(model: Any) -> Any:
    """Return the last layer of the tower that contributes to the features."""
    tower = vision_tower(model)
    layers = getattr(tower, "vision_model", tower).encoder.layers
    wanted = model.config.vision_feature_layer
    last = wanted if isinstance(wanted, int) else wanted[-1]
    return layers[last if last < 0 else last - 1]  # state 0 is the input of the first layer
