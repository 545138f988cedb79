"""A self-test of the machine: do the stages compute what they should there, and how fast."""
