"""The file of a completed video: downloaded, checked, and saved into a storage whole or not at all.

`files` decides whether and when a file is stored, `saving` names it and hands it over, and
`filesystem` and `s3` save it the way that their storage can do best.
"""
