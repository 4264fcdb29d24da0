"""Devices, processes and machines: who takes part, and how data and work are sharded."""
