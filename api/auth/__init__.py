"""Credential → Actor: who you are, nothing about what you may."""

from api.auth.authenticator import Authenticator, Directory, Membership, directory_of
from api.auth.config import AuthConfig, AuthConfigError, Issuer
from api.auth.tokens import OWN_ISSUER, mint

__all__ = [
    "OWN_ISSUER",
    "AuthConfig",
    "AuthConfigError",
    "Authenticator",
    "Directory",
    "Issuer",
    "Membership",
    "directory_of",
    "mint",
]
