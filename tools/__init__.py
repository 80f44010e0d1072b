"""What the house needs beside tests and benchmarks; nothing of it is installed."""
