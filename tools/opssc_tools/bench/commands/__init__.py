"""The commands of the benchmark, one module each: options in, a table and JSON out."""
