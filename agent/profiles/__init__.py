"""The profiles that ship with the program: one YAML file each, naming every model."""
