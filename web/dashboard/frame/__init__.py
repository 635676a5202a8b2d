"""What all pages share: how they are drawn, answered, signed in to, and told of changes."""
