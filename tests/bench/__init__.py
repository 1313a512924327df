"""`make bench`: how fast, against a named peer in the same run. One module a benchmark; RESULTS.md has what came."""
