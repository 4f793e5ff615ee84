"""What a person, a file or a logger gets to see."""
