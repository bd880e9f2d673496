"""The model of host/src/model/mod.rs in PyTorch: one contestant of `algodistill bench train` (protocol: ../README.md)."""

import json
import os
import sys
import time

spec = json.loads(sys.argv[1])
# One compiler process in this one, so that its memory is counted here and no pool of processes stays behind.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

ROWS = sum(spec["tables"])
COMPILED = spec["contestant"] == "pytorch-compiled"
DEVICE = torch.device("cuda" if spec["contestant"] == "pytorch-cuda" else "cpu")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        d, ff = spec["d_model"], spec["d_ff"]
        self.attention_norm = nn.RMSNorm(d, eps=spec["norm_epsilon"])
        self.query_key_value = nn.Linear(d, 3 * d, bias=False)
        self.attention_output = nn.Linear(d, d, bias=False)
        self.feed_forward_norm = nn.RMSNorm(d, eps=spec["norm_epsilon"])
        self.feed_forward_up = nn.Linear(d, ff, bias=False)
        self.feed_forward_down = nn.Linear(ff, d, bias=False)

    def forward(self, x, band):
        batch, length, d = x.shape
        heads = spec["heads"]
        qkv = self.query_key_value(self.attention_norm(x)).view(batch, length, 3, heads, d // heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=band, is_causal=band is None)
        x = x + self.attention_output(attended.transpose(1, 2).reshape(batch, length, d))
        hidden = F.relu(self.feed_forward_up(self.feed_forward_norm(x)))
        return x + self.feed_forward_down(hidden)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        # All tables in one, as the rows count through all of them.
        self.embed = nn.EmbeddingBag(ROWS, spec["d_model"], mode="sum")
        self.layers = nn.ModuleList(Block() for _ in range(spec["layers"]))
        self.final_norm = nn.RMSNorm(spec["d_model"], eps=spec["norm_epsilon"])
        self.head = nn.Linear(spec["d_model"], spec["actions"], bias=False)

    def forward(self, rows, targets, band):
        x = self.embed(rows).view(spec["batch"], spec["sequence_length"], spec["d_model"])
        for layer in self.layers:
            x = layer(x, band)
        logits = self.head(self.final_norm(x))
        return F.cross_entropy(logits.view(-1, spec["actions"]), targets)


def say(**fields):
    print(json.dumps(fields), flush=True)


def main():
    if DEVICE.type == "cuda" and not torch.cuda.is_available():
        say(failed="PyTorch sees no CUDA device")
        return
    torch.manual_seed(0)
    torch.set_num_threads(spec["threads"])
    torch.set_flush_denormal(True)
    model = Model().to(DEVICE)
    tokens, tables = spec["batch"] * spec["sequence_length"], len(spec["tables"])
    parameters = list(model.parameters())
    count = sum(parameter.numel() for parameter in parameters)

    data = np.fromfile(spec["data"], dtype="<u4")
    if len(data) != tokens * (tables + 1) + count:
        raise ValueError(f"the data file has {len(data)} words, not those of a model of {count} parameters")
    rows = torch.from_numpy(data[: tokens * tables].astype(np.int64)).view(tokens, tables).to(DEVICE)
    targets = torch.from_numpy(data[tokens * tables :][:tokens].astype(np.int64)).to(DEVICE)
    values = torch.from_numpy(data[tokens * (tables + 1) :].view("<f4").copy())
    with torch.no_grad():
        for parameter, part in zip(parameters, values.split([p.numel() for p in parameters])):
            parameter.copy_(part.view_as(parameter))

    band = None
    if spec["sequence_length"] > spec["window"]:
        places = torch.arange(spec["sequence_length"], device=DEVICE)
        distance = places[:, None] - places[None, :]
        band = (distance >= 0) & (distance < spec["window"])
    optimizer = torch.optim.AdamW(
        parameters,
        lr=spec["learning_rate"],
        betas=(spec["beta1"], spec["beta2"]),
        weight_decay=spec["weight_decay"],
        fused=True,
    )
    loss_function = torch.compile(model) if COMPILED else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_function(rows, targets, band)
        loss.backward()
        optimizer.step()
        return loss.item()

    try:
        loss = step()
    except Exception as error:
        if not COMPILED:
            raise
        say(failed=f"torch.compile: {type(error).__name__}: {str(error).strip().splitlines()[0]}")
        return
    for _ in range(3):
        step()
    say(ready=True, parameters=count, loss=loss, about=f"PyTorch {torch.__version__}")
    for line in sys.stdin:
        seconds, begun, steps = float(line), time.perf_counter(), 0
        while steps == 0 or time.perf_counter() - begun < seconds:
            step()
            steps += 1
        say(tokens_per_second=steps * tokens / (time.perf_counter() - begun), steps=steps)


main()
