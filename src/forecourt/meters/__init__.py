"""Meters of a site: Modbus TCP, MQTT, simulated."""
