"""What drivers do wrong: by the driver's name (or its beginning, or several) and the feature, a pattern of the failure and
what the page tells users. What is right by now, and what is not here, fails the tests."""

LIMITS = {}
