"""The demo and the benchmarks: runs of the public commands."""
