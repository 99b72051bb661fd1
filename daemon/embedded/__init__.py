"""The exchange in the box: a loopback server, its matching and ledger, and the markets it runs."""
