"""The shipped readers and what made them: recipe, training, figures. README.md is their card."""
