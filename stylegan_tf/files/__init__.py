"""Files as data: arrays, written completely or not at all; pickles and torch files read without running them."""
