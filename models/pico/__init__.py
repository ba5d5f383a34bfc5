"""pico: a very small vision-language model that knows only its toy world, and the code that makes it."""
