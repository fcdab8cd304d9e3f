"""One processing step per file; `registry` lists them."""
