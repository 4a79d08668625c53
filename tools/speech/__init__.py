"""What is said: recognition and subtitles."""
