"""Networks from timm, torchvision, transformers and the user's own code. Imports as runtime/models does."""
