"""Published benchmarks: one small file each reads the question file as it is published."""
