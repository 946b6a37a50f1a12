"""The science of cascades: arrays in, arrays out; no torch, no Lightning, no Hydra, no files."""
