"""The version of this package and of the services it was made with."""

VERSION = "0.1.0"
