"""Instruments: measurements on top of the scores that tell how far a score can be trusted."""
