"""The examples in the help of each command, in one place: a test parses them all."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "advise": (
        "medley advise",
        "medley advise -n chat --ttft 2s --tpot 60ms --price L4=0.70 --html advice.html",
        "medley advise --write medley/",
    ),
    "plan": (
        "medley plan -f examples/quickstart/",
        "medley plan -f examples/plan/fleet.yaml --why --html plan.html",
    ),
    "solve": ("medley solve examples/solve/fleet.json",),
    "explain": (
        "medley explain -f examples/quickstart/",
        "medley explain examples/solve/instance.json",
    ),
    "estimate": (
        f"medley estimate --model {LLAMA} --gpu H100 --input 1024 --output 256 --rate 4",
        "medley estimate --model meta-llama/Llama-3.1-70B --gpu H100 --tp 2 --precision fp8 --concurrency 32",
    ),
    "model show": ("medley model show ./Qwen3-32B", "medley model show hf://Qwen/Qwen3-32B"),
    "model import": ("medley model import hf://Qwen/Qwen3-32B",),
    "profile run": (
        "medley profile run --endpoint http://pod:8000 --model Qwen/Qwen3-32B --gpu H100 --engine-version 0.32.0",
    ),
    "profile import": (
        "medley profile import --from vllm-bench result.json --model Qwen/Qwen3-32B --gpu H100 --engine-version 0.32.0",
    ),
    "simulate": (f"medley simulate --model {LLAMA} --fleet l4=3,h100=1 --trace trace.csv",),
    "replay": (
        "medley replay -f examples/replay/ --load steps:2x330s,4x360s --sizes 4000x1000",
        "medley replay -f examples/quickstart/ --load diurnal:2-10x24h --sizes 500x150 --html day.html",
    ),
    "doctor": ("medley doctor",),
    "pools discover": (
        "medley pools discover --price L4=0.805 | kubectl apply --server-side -f -",
        "medley pools discover --price-list prices.csv -o table",
    ),
    "prices import": ("medley prices import aws.csv --location us-east-1 > prices.csv",),
    "power simulate": ("medley power simulate --preset inband --added 30",),
    "power status": ("medley power status", "medley power status row-1"),
    "power shed": ("medley power shed row-1 --fraction 0.8 --for 2h",),
    "power release": ("medley power release row-1-1a2b3c",),
    "power controller": ("medley power controller --prometheus-url http://prometheus:9090",),
    "status": ("medley status", "medley status -A -o wide"),
    "pause": ("medley pause llama",),
    "resume": ("medley resume llama", "medley resume chat/llama --mode Advisory"),
    "approve": ("medley approve llama 1a2b3c4d",),
    "diff": ("medley diff llama",),
    "history": ("medley history", "medley history chat/llama -o yaml"),
    "completion": (
        "medley completion bash > /etc/bash_completion.d/medley",
        'medley completion zsh > "${fpath[1]}/_medley"',
        "medley completion fish > ~/.config/fish/completions/medley.fish",
    ),
    "operator": ("medley operator --prometheus-url http://prometheus:9090 --mode Advisory",),
    "agent": ("medley agent --node gpu-node-1",),
}
"""Command lines by the words of their command."""


class ExamplesLast(argparse.HelpFormatter):
    """Folds descriptions, and leaves the lines of examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return text
        return super()._fill_text(text, width, indent)


def add_examples(parser: argparse.ArgumentParser, words: str) -> None:
    """To the help of the command of these words, and of its subcommands."""
    ways = subcommands(parser)
    for name, way in ways.items():
        add_examples(way, f"{words} {name}")
    found = EXAMPLES.get(words, ()) if not ways else [EXAMPLES[f"{words} {name}"][0] for name in ways]
    parser.epilog = "\n".join(("examples:", *(f"  {each}" for each in found)))
    parser.formatter_class = ExamplesLast


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of its subcommands by name; none where it takes no subcommand."""
    found = (each.choices for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return dict(next(found, {}))
