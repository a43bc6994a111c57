"""What is known of how fast engines run: ModelProfiles and online calibration."""
