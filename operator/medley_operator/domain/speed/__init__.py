"""The known speed of engines: ModelProfiles and online calibration."""
