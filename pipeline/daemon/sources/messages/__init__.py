"""Messages of brokers, each naming a new image."""

from .mqtt import MqttRunner
from .nats import NatsRunner
from .reader import MessageReader

__all__ = ["MessageReader", "MqttRunner", "NatsRunner"]
