"""Sweeps: a space of configurations, and a study of Optuna from which workers on any number of machines take them.

`space` and `plan` say what is swept, `storage` and `study` keep what is taken and found, `worker` and `trial` do it,
`summary` says how it went.
"""
