"""What tools/benchmark.py measures: cases in processes of their own, counted work, the machine's ceiling."""
