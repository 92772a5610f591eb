"""Many encoders on many tasks, on one machine or on a cluster of the user's own.

A sweep is cut into jobs that are pure and can be repeated: survey a cell, encode a part of its frames, evaluate it. An
engine (:mod:`usbench.sweep.local_engines`) runs jobs somewhere and says when a worker was lost; nothing here schedules
machines. What is encoded lies in the embedding store and what is evaluated in the folder of results, so that a sweep
that was stopped continues where it was.
"""
