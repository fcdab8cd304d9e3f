"""How BoxNet learns: examples, curated set, loop, measurements, files. A process of its own."""
