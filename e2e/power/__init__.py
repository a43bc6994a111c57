"""Racks of GPU servers under real controllers and agents of power, in a closed loop: load, registers, meter, caps."""
