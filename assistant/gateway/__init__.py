"""The daemon's front door: HTTP and WebSocket for people, programs and monitoring. Nothing else knows web libraries."""
