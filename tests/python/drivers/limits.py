"""What drivers do otherwise.

By the driver (its name's beginning, or several) and the feature: a pattern of the failure, and what the page tells users.
A failure that is not here fails the tests, and so does what is here and comes out right by now.
"""

LIMITS = {}
