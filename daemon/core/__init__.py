"""The vocabulary and the mechanism every other part speaks: no I/O, standard library and msgspec
only.
"""
