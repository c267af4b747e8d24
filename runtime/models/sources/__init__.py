"""Networks from elsewhere: timm, torchvision, transformers, a user's own code."""
