"""How good a reader is: metrics, errors by kind, confidence, figures."""
