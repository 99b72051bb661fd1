"""How the outside world is reached: market data, and the venues that orders are sent to.

Belongs here: everything between the daemon's ports and an exchange. Deciding belongs to the layers.
"""
