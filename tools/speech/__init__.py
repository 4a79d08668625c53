"""Speech: recognition and subtitles."""
