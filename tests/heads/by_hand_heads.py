"""Attention heads by hand: hooks on the input of the projection, one whole forward for each change; and networks."""

import numpy as np
import torch
from torch import nn

TEXT = "the cat sat on the mat"
IMPLEMENTATIONS = ("sdpa", "eager")


class Words:
    """A token a word; its number is the sum of its letters, modulo 50."""

    longest = 64

    def read(self, text):
        words = text.split()
        return [sum(map(ord, word)) % 50 for word in words], words


class OfTorch(nn.Module):
    """Patches -> torch's attention, with the tokens on the second or first axis -> five classes."""

    def __init__(self, batch_first, **options):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 8, 8)
        self.attn = nn.MultiheadAttention(16, 4, batch_first=batch_first, **options)
        self.norm, self.head, self.batch_first = nn.LayerNorm(16), nn.Linear(16, 5), batch_first

    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        tokens = tokens if self.batch_first else tokens.transpose(0, 1)
        tokens = tokens + self.attn(tokens, tokens, tokens, need_weights=False)[0]
        return self.head(self.norm(tokens).mean(1 if self.batch_first else 0))


def drawn(module, seed=0):
    """The module in eval mode with random parameters."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    return module.eval()


def bert(attention):
    import transformers

    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32, num_labels=3,
        attn_implementation=attention,
    )  # fmt: skip
    return drawn(transformers.BertForSequenceClassification(config))


def gpt2(attention):
    import transformers

    config = transformers.GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=4, n_positions=32, bos_token_id=0,
                                     eos_token_id=0, attn_implementation=attention)  # fmt: skip
    return drawn(transformers.GPT2LMHeadModel(config))


def llama(attention):
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=32, attn_implementation=attention,
    )  # fmt: skip
    return drawn(transformers.LlamaForCausalLM(config))


def vit(attention):
    import transformers

    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
                                    image_size=32, patch_size=8, num_labels=5,
                                    attn_implementation=attention)  # fmt: skip
    return drawn(transformers.ViTForImageClassification(config))


def timm_vit(fused):
    import timm

    model = timm.create_model("vit_tiny_patch16_224", num_classes=5, img_size=32, depth=2)
    for block in model.blocks:
        block.attn.fused_attn = fused
    return drawn(model)


class Projection:
    """Hooks on the input of a projection, (input, token, heads x channel)."""

    def __init__(self, module, heads, run):
        self.module, self.heads, self.run = module, heads, run
        self.change, self.seen = None, None

    def _hook(self, module, arguments):
        values = arguments[0].detach().clone().unflatten(-1, (self.heads, -1))
        values = values if self.change is None else self.change(values)
        self.seen = values.flatten(2).requires_grad_()
        return (self.seen, *arguments[1:])

    def scores(self, change=None):
        """The scores (class,) with the heads' outputs (1, token, head, channel) changed."""
        self.change, handle = change, self.module.register_forward_pre_hook(self._hook)
        try:
            result = self.run()
        finally:
            handle.remove()
        result = getattr(result, "logits", result)
        return result[0] if result.ndim == 2 else result[0, -1]

    def outputs(self):
        self.scores()
        return self.seen.detach().unflatten(-1, (self.heads, -1))[0]

    def norms(self):
        return self.outputs().norm(dim=(0, 2)).numpy()

    def attributions(self):
        """Output x gradient of the predicted class, summed over each head."""
        (gradient,) = torch.autograd.grad(self.scores().max(), self.seen)
        return (gradient * self.seen.detach()).unflatten(-1, (self.heads, -1)).sum((0, 1, 3)).numpy()

    def effects(self, changed):
        """The predicted class's score with each head changed minus that without. changed: (its values) -> values."""
        before = self.scores().detach()
        top = int(before.argmax())

        def of(head):
            def change(values):
                values[:, :, head] = changed(values[:, :, head])
                return values

            return change

        after = [float(self.scores(of(head)).detach()[top]) for head in range(self.heads)]
        return np.array(after) - float(before[top])
