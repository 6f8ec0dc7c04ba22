"""A simulated week of six subscriptions: what `quarterdeck bench balance` measures policies in.

Everything a policy cannot change (arrivals, sizes, burns, waits, the human's own use) is drawn
before it starts, so that all policies meet the same world.
"""
