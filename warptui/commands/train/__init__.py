"""BoxNet: `train`, with models, bundles of examples, and networks from scratch."""
