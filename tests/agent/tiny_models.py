"""Checkpoints of real architectures with few layers and random weights, built in seconds.

Picture sizes and patch counts are those of the published models; all else is as small as can be.
"""

import json
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

CORPUS = ["The gate code is 7391.", "The last ferry leaves at nine; the harbour closes at ten."]
SPECIAL = {
    "image_token": "<image>",
    "video_token": "<video>",
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}
TILES = [f"<row_{row}_col_{col}>" for row, col in product(range(1, 5), repeat=2)]
TOKENS = ["<s>", "</s>", "<unk>", *SPECIAL.values(), *TILES]
TEXT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
IMAGE_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% for b in m['content'] %}"
    "{% if b['type'] == 'image' %}PICTURE{% elif b['type'] == 'video' %}FILM"
    "{% else %}{{ b['text'] }}{% endif %}{% endfor %}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)
WIDTH = 48  # hidden size of the language models
LANGUAGE = {
    "hidden_size": WIDTH,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
EYES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
NEXT_GRID = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
ONEVISION_GRID = [[384 * a, 384 * b] for a, b in product(range(1, 7), repeat=2)]


def make_tokenizer(
    picture: str = "<image>",
    template: str = IMAGE_TEMPLATE,
    film: str = "<video>",
    extra: Mapping[str, str] = {},
) -> Any:
    """Return a byte-level tokenizer that knows the special tokens of all these models."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320 + len(TOKENS) + len(extra),
        special_tokens=[*TOKENS, *extra.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pairs.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=pairs,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
        extra_special_tokens=SPECIAL | dict(extra),
        chat_template=template.replace("PICTURE", picture).replace("FILM", film),
    )


def build_llama(folder: Path) -> None:
    """Text only, 512 tokens of context."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(template=TEXT_TEMPLATE)
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=512, **LANGUAGE)
    _save(LlamaForCausalLM, config, tokenizer, folder)


def build_llava(folder: Path) -> None:
    """LLaVA-1.5: CLIP 336/14, one picture is 576 tokens."""
    from transformers import (
        CLIPImageProcessor,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = make_tokenizer()
    config = LlavaConfig(**_clip_and_llama(tokenizer, context=4096))
    size = {"height": 336, "width": 336}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 336}, crop_size=size),
        **_llava_processor(tokenizer),
    )
    _save(LlavaForConditionalGeneration, config, processor, folder)


def build_llava_next(folder: Path) -> None:
    """LLaVA-1.6: CLIP 336/14 on up to four tiles and a thumbnail, with newline tokens."""
    from transformers import (
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
    )

    tokenizer = make_tokenizer()
    towers = _clip_and_llama(tokenizer, context=16384)
    config = LlavaNextConfig(image_grid_pinpoints=NEXT_GRID, **towers)
    pictures = LlavaNextImageProcessor(
        size={"shortest_edge": 336},
        crop_size={"height": 336, "width": 336},
        image_grid_pinpoints=NEXT_GRID,
    )
    processor = LlavaNextProcessor(image_processor=pictures, **_llava_processor(tokenizer))
    _save(LlavaNextForConditionalGeneration, config, processor, folder)


def build_onevision(folder: Path) -> None:
    """LLaVA-OneVision: SigLIP 384/14, 27 x 27 = 729 patches, language model Qwen2."""
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )

    tokenizer = make_tokenizer()
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(
            image_size=384, patch_size=14, vision_use_head=False, **EYES
        ),
        text_config=Qwen2Config(
            vocab_size=len(tokenizer), max_position_embeddings=32768, **LANGUAGE
        ),
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        image_grid_pinpoints=ONEVISION_GRID,
    )
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(image_grid_pinpoints=ONEVISION_GRID),
        video_processor=LlavaOnevisionVideoProcessor(),
        tokenizer=tokenizer,
        num_image_tokens=729,
        vision_feature_select_strategy="full",
        chat_template=tokenizer.chat_template,
    )
    _save(LlavaOnevisionForConditionalGeneration, config, processor, folder)


def build_qwen_vl(folder: Path) -> None:
    """Qwen3-VL: patches of 16 merged two by two, as many tokens as the picture is large."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer = make_tokenizer(_between("<image>"), film="<video>")
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 2, 2]}
    eyes = {"depth": 3, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 32768,
            "head_dim": 12,
            "rope_parameters": rope | {"mrope_interleaved": True},
            **LANGUAGE,
        },
        vision_config=eyes | {"out_hidden_size": WIDTH, "deepstack_visual_indexes": [1]},
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        vision_start_token_id=tokenizer.vision_start_token_id,
        vision_end_token_id=tokenizer.vision_end_token_id,
    )
    area = {"shortest_edge": 64 * 64, "longest_edge": 512 * 512}
    processor = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=16, merge_size=2, size=area),
        video_processor=Qwen3VLVideoProcessor(),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
    )
    _save(Qwen3VLForConditionalGeneration, config, processor, folder)


def build_qwen2_vl(folder: Path) -> None:
    """Qwen2.5-VL: patches of 14 merged two by two, two frames a token, positions in seconds."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = make_tokenizer(_between("<image>"), film=_between("<video>"))
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 2, 2]}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 32768,
            "rope_parameters": rope,
            **LANGUAGE,
        },
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": WIDTH,
            "fullatt_block_indexes": [1],
        },
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        vision_start_token_id=tokenizer.vision_start_token_id,
        vision_end_token_id=tokenizer.vision_end_token_id,
    )
    area = {"shortest_edge": 56 * 56, "longest_edge": 512 * 512}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=area),
        video_processor=Qwen2VLVideoProcessor(size=area, temporal_patch_size=2),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
    )
    _save(Qwen2_5_VLForConditionalGeneration, config, processor, folder)


def build_video_llava(folder: Path) -> None:
    """Video-LLaVA: CLIP 224/14, 16 x 16 patches and the class token, 257 tokens a frame."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        VideoLlavaConfig,
        VideoLlavaForConditionalGeneration,
        VideoLlavaImageProcessor,
        VideoLlavaProcessor,
        VideoLlavaVideoProcessor,
    )

    tokenizer = make_tokenizer()
    config = VideoLlavaConfig(
        vision_config=CLIPVisionConfig(image_size=224, patch_size=14, **EYES),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer), max_position_embeddings=4096, **LANGUAGE
        ),
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
    )
    processor = VideoLlavaProcessor(
        image_processor=VideoLlavaImageProcessor(),
        video_processor=VideoLlavaVideoProcessor(),
        **_llava_processor(tokenizer),
    )
    _save(VideoLlavaForConditionalGeneration, config, processor, folder)


def build_llava_next_video(folder: Path) -> None:
    """LLaVA-NeXT-Video: CLIP 336/14 pooled two by two, 144 tokens a frame."""
    from transformers import (
        LlavaNextImageProcessor,
        LlavaNextVideoConfig,
        LlavaNextVideoForConditionalGeneration,
        LlavaNextVideoProcessor,
        LlavaNextVideoVideoProcessor,
    )

    tokenizer, size = make_tokenizer(), {"height": 336, "width": 336}
    config = LlavaNextVideoConfig(
        image_grid_pinpoints=NEXT_GRID,
        video_token_index=tokenizer.video_token_id,
        **_clip_and_llama(tokenizer, context=4096),
    )
    processor = LlavaNextVideoProcessor(
        image_processor=LlavaNextImageProcessor(
            size={"shortest_edge": 336}, crop_size=size, image_grid_pinpoints=NEXT_GRID
        ),
        video_processor=LlavaNextVideoVideoProcessor(size={"shortest_edge": 336}, crop_size=size),
        **_llava_processor(tokenizer),
    )
    _save(LlavaNextVideoForConditionalGeneration, config, processor, folder)


def build_internvl(folder: Path) -> None:
    """InternVL3: 448/14, 32 x 32 patches of which four become a token, 256 tokens a frame."""
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
        InternVLVisionConfig,
        Qwen2Config,
    )

    marks = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
    }
    tokenizer = make_tokenizer("<IMG_CONTEXT>", extra=marks)
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**EYES),
        text_config=Qwen2Config(
            vocab_size=len(tokenizer), max_position_embeddings=32768, **LANGUAGE
        ),
        image_token_id=tokenizer.context_image_token_id,
    )
    square = {"height": 448, "width": 448}
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=square),
        video_processor=InternVLVideoProcessor(size=square),
        tokenizer=tokenizer,
        image_seq_length=256,
        chat_template=tokenizer.chat_template,
    )
    _save(InternVLForConditionalGeneration, config, processor, folder)


def build_smolvlm(folder: Path) -> None:
    """SmolVLM2: SigLIP 512/16, four patches to a side become one token, tiles above 512 pixels."""
    from transformers import (
        LlamaConfig,
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )
    from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig

    tokenizer = make_tokenizer()
    config = SmolVLMConfig(
        vision_config=SmolVLMVisionConfig(image_size=512, patch_size=16, **EYES),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer), max_position_embeddings=8192, **LANGUAGE
        ),
        scale_factor=4,
        image_token_id=tokenizer.image_token_id,
        pad_token_id=1,
    )
    sizes = {"size": {"longest_edge": 1024}, "max_image_size": {"longest_edge": 512}}
    processor = SmolVLMProcessor(
        image_processor=SmolVLMImageProcessor(**sizes),
        video_processor=SmolVLMVideoProcessor(
            size={"longest_edge": 512}, max_image_size={"longest_edge": 512}
        ),
        tokenizer=tokenizer,
        image_seq_len=64,
        chat_template=tokenizer.chat_template,
    )
    _save(SmolVLMForConditionalGeneration, config, processor, folder)


def build_siglip(folder: Path) -> None:
    """SigLIP: compares pictures of 32 x 32 pixels with texts of 16 tokens."""
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel, SiglipProcessor

    tokenizer = make_tokenizer()
    tokenizer.model_max_length = 16
    layers = {**EYES, "num_hidden_layers": 1}
    config = SiglipConfig(
        text_config={**layers, "vocab_size": len(tokenizer), "max_position_embeddings": 16},
        vision_config={**layers, "image_size": 32, "patch_size": 16},
    )
    pictures = SiglipImageProcessor(size={"height": 32, "width": 32})
    _save(SiglipModel, config, SiglipProcessor(pictures, tokenizer), folder)


def write_gguf(source: Path, file: Path) -> dict[str, Any]:
    """Write the model of `build_llama` as a GGUF file; returns the weights that are in it.

    Of each layer, the one matrix whose rows can be cut into blocks of 32 has 4 bits a weight.
    """
    import torch
    from gguf import GGMLQuantizationType, GGUFWriter, get_tensor_name_map, quants
    from gguf.constants import MODEL_ARCH
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    tokenizer, config = AutoTokenizer.from_pretrained(source), model.config
    writer = GGUFWriter(file, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(len(tokenizer))
    pairs = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in pairs])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_chat_template(tokenizer.chat_template)
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    for name, weight in weights.items():
        stored = weight
        if name.endswith(("q_proj.weight", "k_proj.weight")):  # another order of the RoPE
            halves = weight.reshape(config.num_attention_heads, 2, -1, config.hidden_size)
            stored = halves.swapaxes(1, 2).reshape(weight.shape)
        named = names.get_name(name, try_suffixes=(".weight",))
        if name.endswith("down_proj.weight"):
            kind = GGMLQuantizationType.Q4_1
            packed = quants.quantize(weight, kind)
            weights[name] = quants.dequantize(packed, kind)
            writer.add_tensor(named, packed, raw_dtype=kind)
        else:
            writer.add_tensor(named, stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


BUILDERS: Mapping[str, Callable[[Path], None]] = {
    "llama": build_llama,
    "llava": build_llava,
    "llava_next": build_llava_next,
    "onevision": build_onevision,
    "qwen_vl": build_qwen_vl,
    "smolvlm": build_smolvlm,
    "qwen2_vl": build_qwen2_vl,
    "video_llava": build_video_llava,
    "llava_next_video": build_llava_next_video,
    "internvl": build_internvl,
    "siglip": build_siglip,
}


def _between(token: str) -> str:
    """Return a placeholder between Qwen's marks of something to see."""
    return f"<|vision_start|>{token}<|vision_end|>"


def _clip_and_llama(tokenizer: Any, context: int) -> dict[str, Any]:
    from transformers import CLIPVisionConfig, LlamaConfig

    return {
        "vision_config": CLIPVisionConfig(image_size=336, patch_size=14, **EYES),
        "text_config": LlamaConfig(
            vocab_size=len(tokenizer), max_position_embeddings=context, **LANGUAGE
        ),
        "image_token_index": tokenizer.image_token_id,
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
    }


def _llava_processor(tokenizer: Any) -> dict[str, Any]:
    return {
        "tokenizer": tokenizer,
        "patch_size": 14,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,  # the class token, which "default" drops
        "chat_template": tokenizer.chat_template,
    }


def _save(model_class: Any, config: Any, processor: Any, folder: Path) -> None:
    """Save a model with the same random weights every time, and its processor."""
    import torch

    torch.manual_seed(0)
    model_class(config).save_pretrained(folder)
    processor.save_pretrained(folder)
