"""Reading: probe a file, its pictures and its sound."""
