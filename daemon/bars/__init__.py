"""Work on stored bars outside a run: turns files and exchanges into bars, and old ones into room.

Belongs here: importing, fetching, judging and pruning. How bars lie on the disk belongs to `store`.
"""
