"""A fake NVML for processes: a C library with NVML's names, and the file in which its boards are."""
