"""The machine under the book: devices, paths, files, processes, faster products on a CPU.
Nothing here knows what a Llama is."""
