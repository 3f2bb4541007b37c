"""Forecourt: charging station, local controller and CSMS on one OCPP core."""
