"""The demo: real agents on a small real repository; only the model's replies are rehearsed."""

from app.demo.run import run

__all__ = ["run"]
