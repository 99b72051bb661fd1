"""Perpetual swaps on the exchange in the box: margin, funding, liquidation, the fapi dialect."""
