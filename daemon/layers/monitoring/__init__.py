"""Layer 7: scores every prediction against its outcome and says how far the model can be believed.

Belongs here: measuring skill, drift and net results. Acting on the measure belongs to risk.
"""
