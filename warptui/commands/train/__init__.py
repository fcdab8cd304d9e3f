"""`train`: train BoxNet, list models, share training data, and make networks from scratch."""
