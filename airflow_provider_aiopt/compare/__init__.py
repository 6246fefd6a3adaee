"""Whether one pipeline is better than another: interleaved runs, intervals, a verdict."""
