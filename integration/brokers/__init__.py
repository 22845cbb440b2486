"""Real Kafka brokers on loopback, of any release from 0.8.2 to 4.4."""
