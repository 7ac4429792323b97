"""Published benchmarks: one small file each, which says what its rows are, how they are asked, and what is quoted."""
