"""What CometAPI takes and says: models, replies, errors, redaction. All of it is pure.

`catalog` says what an order may ask for, `replies` reads what comes back, `errors` makes one typed
error of a reply that holds no video, and `base_url` is the one rule for the API's address.
"""
