"""How the demo video is made: the screenplay, the voice, the sounds and the drawings."""
