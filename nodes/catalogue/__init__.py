"""The menus of engines and renderers: what stands in them, what each asks for, and how it is loaded."""
