"""HTTP, without Django or Celery: one bounded exchange with the API, one bounded download.

What is sent, received and waited for has a limit each, in bytes and in seconds. `adapter`,
`transport`, `connection` and `multipart` carry a request to the API; `addresses`, `fetch`,
`download`, `mp4` and `signed_urls` bring a finished file home.
"""
