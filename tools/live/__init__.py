"""A face that speaks along with a voice while it is spoken: sound in, frames out, a stated time behind."""
