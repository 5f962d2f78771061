"""Instances that are processes of this machine: what the VIM drivers share that differ in where a process runs.

`vim` is the life of an instance, `ground` what a driver adds to it, `hosts` the accounting, `image` the unpacking of an
archive, `record` what is remembered, `proc` what the kernel tells of processes and `watch` who notices their end.
No driver itself.
"""
