"""A secret manager, as good as one."""


def cometapi_key():
    return "sk-from-the-manager"
