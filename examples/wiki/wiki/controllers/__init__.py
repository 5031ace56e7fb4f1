"""What the wiki does with a request: asks the model, and shows what it says in a view."""
