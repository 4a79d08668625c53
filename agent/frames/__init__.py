"""The frames given to a model: sampling, files, grids."""
