"""The look of the page: a quiet theme, light and dark, from fonts that every system has."""

import gradio as gr
from gradio.themes.utils import colors, sizes

ACCENT = "#0f766e"  # white on it: contrast 5.5
ACCENT_DARK = "#5eead4"  # on the dark background: contrast 12


class Quiet(gr.themes.Base):  # type: ignore[misc]  # gradio has no types
    """Stone and teal, thin lines, no shadows."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=colors.teal,
            secondary_hue=colors.teal,
            neutral_hue=colors.stone,
            radius_size=sizes.radius_lg,
            text_size=sizes.text_md,
            font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
            font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
        )
        self.name = "quiet"
        super().set(
            body_background_fill="#faf9f7",
            body_background_fill_dark="#151413",
            body_text_color="*neutral_800",
            body_text_color_dark="*neutral_200",
            body_text_color_subdued="#57534e",
            body_text_color_subdued_dark="#a8a29e",
            background_fill_primary="white",
            background_fill_primary_dark="#1c1a19",
            background_fill_secondary="#f3f1ed",
            background_fill_secondary_dark="#262322",
            block_background_fill="white",
            block_background_fill_dark="#1c1a19",
            block_border_width="1px",
            block_border_color="#e4e0da",
            block_border_color_dark="#35312f",
            border_color_primary="#e4e0da",
            border_color_primary_dark="#35312f",
            block_label_background_fill="transparent",
            block_label_background_fill_dark="transparent",
            block_label_border_width="0px",
            block_label_text_color="#57534e",
            block_label_text_color_dark="#a8a29e",
            block_title_text_color="#57534e",
            block_title_text_color_dark="#a8a29e",
            block_info_text_color="#57534e",
            block_info_text_color_dark="#a8a29e",
            block_shadow="none",
            input_background_fill="white",
            input_background_fill_dark="#262322",
            input_border_width="1px",
            input_border_color="#d6d3d1",
            input_border_color_dark="#44403c",
            input_border_color_focus=ACCENT,
            input_border_color_focus_dark=ACCENT_DARK,
            input_placeholder_color="#6b6560",
            input_placeholder_color_dark="#a8a29e",
            color_accent=ACCENT,
            color_accent_soft="*primary_50",
            color_accent_soft_dark="*primary_950",
            link_text_color=ACCENT,
            link_text_color_dark=ACCENT_DARK,
            button_border_width="1px",
            button_primary_background_fill=ACCENT,
            button_primary_background_fill_dark=ACCENT,
            button_primary_background_fill_hover="#115e59",
            button_primary_background_fill_hover_dark="#115e59",
            button_primary_border_color=ACCENT,
            button_primary_border_color_dark=ACCENT,
            button_primary_text_color="white",
            button_primary_text_color_dark="white",
            button_secondary_background_fill="white",
            button_secondary_background_fill_dark="#262322",
            button_secondary_background_fill_hover="#f3f1ed",
            button_secondary_background_fill_hover_dark="#35312f",
            button_secondary_border_color="#d6d3d1",
            button_secondary_border_color_dark="#44403c",
            button_secondary_text_color="*neutral_800",
            button_secondary_text_color_dark="*neutral_200",
            button_cancel_background_fill="white",
            button_cancel_background_fill_dark="#262322",
            button_cancel_border_color="#d6d3d1",
            button_cancel_border_color_dark="#44403c",
            button_cancel_text_color="#b91c1c",
            button_cancel_text_color_dark="#fca5a5",
        )
