"""Media input: probe a file, decode its video and audio."""
