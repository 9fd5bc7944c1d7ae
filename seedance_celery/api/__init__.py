"""What CometAPI takes and says: models, replies, errors, redaction. All of it is pure.

`catalog` says what an order may ask for, `replies` reads what comes back (`envelopes` knows its
forms), `errors` makes one typed error of a reply that holds no video, `redaction` takes out what
nobody may read, and `base_url` is the one rule for the API's address.
"""
