"""A home that does not exist, behind Home Assistant's real WebSocket protocol."""
