"""What a booking costs, beside other ways to book. ``python -m benchmarks --help``."""
