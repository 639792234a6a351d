"""Random programs against an engine that is too simple to be wrong: read `jets`, `places`,
`tensors` and `naive`; then `running` and `programs`."""
