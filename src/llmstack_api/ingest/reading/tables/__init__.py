"""What tables of every format have in common: cells in a grid, and names of columns."""
