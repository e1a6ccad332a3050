"""The whole base at the command line: what-ifs, audiences, triggers."""
