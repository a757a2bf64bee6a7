"""People judge labels in a browser, and what they said."""
