"""The front door: what people, programs and monitoring reach the daemon through."""
