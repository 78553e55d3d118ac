"""All cases, in the order of docs/reliability.md."""

from . import case_brokers, case_clock, case_drain, case_files, case_several, case_steps, case_storage

CASES = (
    case_storage.CASE,
    case_storage.ONE_OF_TWO,
    case_clock.CLOCK,
    case_clock.LOCKED,
    case_files.CASE,
    case_steps.CASE,
    case_brokers.MQTT,
    case_brokers.NATS,
    case_brokers.REPLACED,
    case_several.TWO,
    case_several.STILL,
    case_drain.CASE,
)
