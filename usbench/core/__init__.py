"""What every part stands on: settings, files written whole, the object store, provenance, shared types."""
