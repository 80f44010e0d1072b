"""One profile of all ranks of a run: clocks, what is gathered, and who waited for whom."""
