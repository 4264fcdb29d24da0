"""Files as data: arrays, written as a whole or not at all; pickles and torch files read without running them."""
